// SPDX-License-Identifier: MIT
// The official OpenAI SDK for Node, one case per run: node sdk.mjs BASE_URL CASE MODEL [OPTIONS as JSON].
// Prints one JSON object: what was got, or the error as the SDK told it.
import OpenAI, { APIConnectionTimeoutError, APIError } from 'openai';

const [baseURL, name, model, given] = process.argv.slice(2);
const options = JSON.parse(given ?? '{}');
const client = new OpenAI({ baseURL, apiKey: 'sk-any', maxRetries: 0, ...options });
const messages = [{ role: 'user', content: 'Tell me of the tide.' }];
const tools = [{ type: 'function', function: { name: 'tide', parameters: {
  type: 'object', properties: { when: { type: 'string' } } } } }];

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
  async statuses() { // MODEL is a list; each is asked for plainly and as a stream
    const got = {};
    for (const one of model.split(',')) {
      got[one] = [];
      for (const stream of [false, true]) {
        try {
          await client.chat.completions.create({ model: one, messages, stream });
        } catch (error) {
          got[one].push(told(error).error);
        }
      }
    }
    return got;
  },
  async tools() { // the raw chunks, and what the SDK's own helper puts together
    const ask = { model, messages, tools };
    const chunks = await drain(await client.chat.completions.create({ ...ask, stream: true }));
    const helper = await client.chat.completions.stream(ask).finalChatCompletion();
    const plain = await client.chat.completions.create(ask);
    return { chunks, helper: helper.choices[0], plain: plain.choices[0] };
  },
  async embeddings() {
    const got = {};
    for (const form of [undefined, 'float', 'base64']) {
      const ask = { model, input: ['flood', 'ebb'], ...(form && { encoding_format: form }) };
      got[form ?? 'default'] = (await client.embeddings.create(ask)).data.map((d) => d.embedding);
    }
    return got;
  },
  async completions() {
    const ask = { model, prompt: 'Tell me of the tide.', max_tokens: 12 };
    const plain = await client.completions.create(ask);
    const chunks = await drain(await client.completions.create({ ...ask, stream: true }));
    return { plain: plain.choices[0].text, stream: chunks.map((c) => c.choices[0]?.text ?? '').join('') };
  },
  async abort() { // by a controller, after the first chunk
    const controller = new AbortController();
    const ask = { model, messages, stream: true };
    const stream = await client.chat.completions.create(ask, { signal: controller.signal });
    const chunks = [];
    for await (const chunk of stream) {
      chunks.push(chunk);
      controller.abort();
    }
    return { chunks: chunks.slice(0, 1), aborted: stream.controller.signal.aborted };
  },
  async patience() { // the SDK tells the limit of a request, not that of the client
    return { data: await client.chat.completions.create({ model, messages }, { timeout: 7500 }) };
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
