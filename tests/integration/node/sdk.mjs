// SPDX-License-Identifier: MIT
// The official OpenAI SDK for Node, one case per run: node sdk.mjs BASE_URL CASE MODEL [OPTIONS as JSON].
// Prints one JSON object: what was got, or the error as the SDK told it.
import OpenAI, { APIConnectionTimeoutError, APIError } from 'openai';

const [baseURL, name, model, given] = process.argv.slice(2);
const options = JSON.parse(given ?? '{}');
const client = new OpenAI({ baseURL, apiKey: 'sk-any', maxRetries: 0, ...options });
const messages = [{ role: 'user', content: 'Tell me of the tide.' }];

async function drain(stream, chunks = []) {
  for await (const chunk of stream) chunks.push(chunk);
  return chunks;
}

const cases = {
  async plain() {
    const { data, response } = await client.chat.completions.create({ model, messages }).withResponse();
    return { data, id: response.headers.get('x-request-id') };
  },
  async stream() {
    return { chunks: await drain(await client.chat.completions.create({ model, messages, stream: true })) };
  },
  async usage() {
    const ask = { model, messages, stream: true, stream_options: { include_usage: true } };
    return { chunks: await drain(await client.chat.completions.create(ask)) };
  },
  async broken() {
    const chunks = [];
    try {
      await drain(await client.chat.completions.create({ model, messages, stream: true }), chunks);
    } catch (error) {
      return { chunks, ...told(error) };
    }
    return { chunks };
  },
  async close() { // leaves after the first chunk
    const stream = await client.chat.completions.create({ model, messages, stream: true });
    for await (const chunk of stream) return { chunks: [chunk] };
  },
  async models() {
    return { ids: (await client.models.list()).data.map((m) => m.id) };
  },
};

function told(error) {
  const { name: kind } = error.constructor;
  const timedOut = error instanceof APIConnectionTimeoutError;
  const { status, code, type, param, message, requestID } = error;
  return { error: { kind, timedOut, api: error instanceof APIError, status, code, type, param, message, requestID } };
}

let result;
try {
  result = await cases[name]();
} catch (error) {
  result = told(error);
}
console.log(JSON.stringify(result));
