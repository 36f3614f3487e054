# SPDX-License-Identifier: MIT
"""Many clients at once on one thread. A visit is one request on a connection of its own; the bytes of its
answer are only collected while it lasts, and judged when it is over."""
import asyncio
import re
import socket

from .tape import recorded_answer

LENGTH = re.compile(rb'\r\nContent-Length: (\d+)\r\n', re.IGNORECASE)


class Visit(asyncio.Protocol):
    """`leave_at`: after that many bytes of the answer it goes away; 0 at once, None never. `rude`: with a
    reset instead of an orderly end. `nap`: seconds between two reads, which saves most of the client's work
    where a test has few cores to run on; what comes meanwhile waits in the kernel."""
    nap = 0

    def __init__(self, request, leave_at=None, rude=False):
        self.request, self.leave_at, self.rude = request, leave_at, rude
        self.got, self.left = bytearray(), False
        self.need = None  # how the answer's end is known: its size, or 0 for the last chunk

    def connection_made(self, transport):
        self.transport = transport
        transport.get_extra_info('socket').setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        transport.write(self.request)
        if self.leave_at == 0:
            self.leave()

    def data_received(self, data):
        self.got += data
        if self.leave_at is not None and len(self.got) >= self.leave_at:
            self.leave()
        elif self.is_complete():
            self.transport.close()
        elif self.nap:
            self.transport.pause_reading()
            asyncio.get_running_loop().call_later(self.nap, self.transport.resume_reading)

    def leave(self):
        self.left = True
        if self.rude:
            linger = b'\1\0\0\0\0\0\0\0'
            self.transport.get_extra_info('socket').setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            self.transport.abort()
        else:
            self.transport.close()

    def is_complete(self):
        if self.need is None:
            end = self.got.find(b'\r\n\r\n')
            if end < 0:
                return False
            length = LENGTH.search(self.got, 0, end + 2)
            self.need = end + 4 + int(length.group(1)) if length else 0
        return len(self.got) >= self.need if self.need else self.got.endswith(b'\r\n0\r\n\r\n')

    def connection_lost(self, error):
        if not self.over.cancelled():
            self.over.set_result(None)

    def answer(self):
        return recorded_answer(bytes(self.got))


async def attend(at, visit):
    loop = asyncio.get_running_loop()
    visit.over = loop.create_future()
    await loop.create_connection(lambda: visit, *at)
    await visit.over


def throng(at, arrivals, judge, limit, most=1000):
    """Lets visits arrive at their times, [(seconds, visit)], and calls judge(visit) at the end of each. No
    more than `most` are there at a time: who comes then is late. After `limit` seconds it is a failure."""
    async def one(visit, places):
        async with places:
            await attend(at, visit)
        judge(visit)

    async def all_of_them():
        loop, places = asyncio.get_running_loop(), asyncio.Semaphore(most)
        began, tasks = loop.time(), []
        for seconds, visit in arrivals:
            await asyncio.sleep(began + seconds - loop.time())
            tasks.append(asyncio.create_task(one(visit, places)))
        await asyncio.gather(*tasks)
    asyncio.run(asyncio.wait_for(all_of_them(), limit))
