"A network between a client and a PostgreSQL server that tests can make slow or silent, and can break."
import asyncio
import struct
import threading


class Relay(asyncio.Protocol):
    "One side of a connection; `other` is the side to which it passes its bytes."
    other, silent, drops, end_after = None, False, False, None

    def __init__(self, proxy, server=None):
        self.proxy, self.server, self.started, self.rest, self.texts = proxy, server, False, b'', {}

    def connection_made(self, transport):
        self.transport = transport
        if self.server: self.proxy.loop.create_task(self.reach())

    async def reach(self):
        "Connect the client's side to the server, or hang up."
        self.transport.pause_reading()
        self.proxy.relays.add(self)
        self.proxy.connections += 1
        try:
            if self.proxy.down: raise OSError
            _, self.other = await self.proxy.loop.create_unix_connection(lambda: Relay(self.proxy), self.server)
        except OSError: return self.transport.abort()
        self.other.other = self
        self.transport.resume_reading()

    def data_received(self, data):
        if self.server: self.from_client(data)
        elif self.drops: self.other.cut()
        elif self.end_after and self.end_after in data:  # the server answers, and ends instead of being ready again
            self.other.transport.write(data[:data.index(self.end_after) + len(self.end_after)])
            for side in (self.other, self): side.transport.close()
        elif not (self.silent or self.proxy.silent): self.later(data)

    def later(self, data):
        self.proxy.spoken = True
        if not self.proxy.delay: self.other.transport.write(data)
        else: self.proxy.loop.call_later(self.proxy.delay, self.other.transport.write, data)

    def from_client(self, data):
        if self.proxy.spoken: self.proxy.trips, self.proxy.spoken = self.proxy.trips + 1, False
        for sql in self.statements(data):
            self.proxy.statements.append(sql)
            text = next((text for text in self.proxy.events if sql.startswith(text)), None)
            if text is None: continue
            if self.proxy.events[text][0] > 1: self.proxy.events[text][0] -= 1
            else: self.proxy.events.pop(text)[1](self)
        if not (self.silent or self.proxy.silent): self.other.transport.write(data)

    def statements(self, data):
        "The SQL statements that these bytes complete, prepared or not."
        self.rest += data
        while len(self.rest) >= 8 if not self.started else len(self.rest) >= 5:
            begin = 1 if self.started else 0
            length, = struct.unpack_from('!I', self.rest, begin)
            if len(self.rest) < begin + length: return
            kind, body, self.rest = self.rest[:begin], self.rest[begin + 4:begin + length], self.rest[begin + length:]
            if not self.started: self.started = body[:2] == b'\0\x03'  # otherwise the client requests encryption
            elif kind == b'Q': yield body[:-1].decode()
            elif kind == b'P':
                name, sql, _ = body.split(b'\0', 2)
                self.texts[name] = sql.decode()
            elif kind == b'B': yield self.texts.get(body.split(b'\0', 2)[1], '')

    # faults

    def cut(self):
        "Break the connection for both sides; bytes under way are lost."
        self.silent = True
        for side in (self, self.other):
            if side: side.transport.abort()  # else it is still connecting

    def drop_answer(self): self.other.drops = True
    def swallow(self): self.silent = self.other.silent = True

    def connection_lost(self, error):
        self.proxy.relays.discard(self)
        if self.other and self.proxy.hangs_up and not self.other.transport.is_closing(): self.other.transport.close()


class Proxy:
    "Forwards any number of connections to a server's socket; its thread ends with the `with` block."
    def __init__(self, server, delay=0):
        self.server, self.delay = server, delay  # path of the socket; seconds by which answers are delayed
        self.down = self.silent = self.spoken = False
        self.hangs_up = True                     # close one side when the other has closed
        self.relays, self.statements, self.events, self.trips = set(), [], {}, 0
        self.connections = 0                     # how many clients have connected so far

    def at(self, text, event, nth=1):
        "Call `event(relay)` in the proxy's thread when the n-th statement that begins with this text arrives, before it is passed on."
        self.events[text] = [nth, event]

    def cut(self):
        "Break every connection."
        async def all_of_them():
            for relay in list(self.relays): relay.cut()
        asyncio.run_coroutine_threadsafe(all_of_them(), self.loop).result(10)

    def count(self, call):
        "How often `call` waits for an answer: how often the client sends after the server has sent."
        self.trips, self.spoken = 0, True
        call()
        return self.trips

    def __enter__(self):
        ready = threading.Event()
        async def serve():
            self.loop = asyncio.get_running_loop()
            self.listening = await self.loop.create_server(lambda: Relay(self, self.server), '127.0.0.1', 0)
            self.port = self.listening.sockets[0].getsockname()[1]
            self.end = asyncio.Event()
            ready.set()
            await self.end.wait()
            self.listening.close()
            for relay in list(self.relays):
                if relay.other: relay.cut()
        self.thread = threading.Thread(target=lambda: asyncio.run(serve()))
        self.thread.start()
        ready.wait()
        self.conninfo = f'host=127.0.0.1 port={self.port} user=postgres dbname=postgres'
        return self

    def __exit__(self, *error):
        self.loop.call_soon_threadsafe(self.end.set)
        self.thread.join()
