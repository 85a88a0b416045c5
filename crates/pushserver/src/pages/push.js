// The browser client of pushserver. One file, no build step, no dependencies; works as a script and as a module.
//
//   const push = new Push('https://push.example.com', { token: () => fetchToken() });
//   const follow = push.follow(['news', 'chat/*'], { last: 20 }, event => console.log(event.topic, event.data));
//   push.on('gap', gap => console.log('events were lost', gap));
//   await push.publish('news', 'hello');
//
// A follow has one position in the log and reads on from it through whatever works: WebSocket, then an event stream,
// then polling. docs/PROTOCOL.md of pushserver describes the client and everything it says to the server.
(() => {
  'use strict';

  /** Best first: what is tried, and what is fallen back to. */
  const TRANSPORTS = ['websocket', 'stream', 'poll'];
  /** In milliseconds. */
  const SILENCE = 45_000, ASK_AFTER = 30_000, ANSWER = 10_000, POLL_WAIT = 25_000, HELD = 5_000;
  const BACKOFF = { first: 500, max: 30_000 };
  /** How often a transport that has worked may fail in a row before the next one is tried. */
  const PATIENCE = 3;
  /** How long a transport may take to open, by default: a proxy that buffers lets nothing of a stream through. */
  const OPENING = 10_000;
  /** After falling back, the better transports get another chance this often, by default. */
  const CLIMB_AFTER = 300_000;

  class Emitter {
    #listeners = new Map();

    /** Calls `listener` with every event of this name; returns a function that stops it. */
    on(name, listener) {
      if (!this.#listeners.has(name)) this.#listeners.set(name, new Set());
      this.#listeners.get(name).add(listener);
      return () => this.#listeners.get(name).delete(listener);
    }

    emit(name, detail) {
      for (const listener of [...(this.#listeners.get(name) ?? [])]) call(listener, detail);
    }
  }

  /** A listener that throws must not cost the others, or the stream, anything. */
  function call(listener, detail) {
    try {
      listener(detail);
    } catch (error) {
      if (typeof reportError === 'function') reportError(error); else console.error(error);
    }
  }

  /** A refusal of the server: `status`, `kind` (the stable name), `message` (for a person). */
  class PushProblem extends Error {
    constructor(status, kind, detail) {
      super(detail);
      this.name = 'PushProblem';
      this.status = status;
      this.kind = kind;
    }

    static async of(response) {
      const document = await response.json().catch(() => ({}));
      const kind = String(document.type ?? 'unknown').split(':').pop();
      return new PushProblem(response.status, kind, document.detail ?? response.statusText);
    }
  }

  class Push extends Emitter {
    #base;
    #options;
    #follows = new Set();

    /**
     * `url`: where the server is, by default where the page comes from.
     * `token`: a JWT, or a function that returns one (or a promise of one) whenever one is needed.
     * `ticket`: the same for a ticket. `transports`: a shorter or reordered ['websocket', 'stream', 'poll'].
     * `credentials`: 'include' sends cookies to another origin. `openTimeout`: milliseconds in which a transport must open before
     * the next one is tried. `retryBetterAfter`: milliseconds after which the better ones get another chance.
     */
    constructor(url = location.origin, options = {}) {
      super();
      this.#base = new URL(url, globalThis.location?.href);
      this.#options = options;
    }

    /**
     * Follows patterns from `after` (a position, 'earliest' or 'now'), with the `last` N events, or `since` ('5m' or a
     * time); without any of them, from now on. `onEvent` gets every event in order, once.
     */
    follow(patterns, options, onEvent) {
      if (typeof options === 'function') [options, onEvent] = [{}, options];
      const follow = new Follow(this, [patterns].flat(), options ?? {}, onEvent);
      this.#follows.add(follow);
      follow.on('over', () => this.#follows.delete(follow));
      return follow;
    }

    /**
     * Publishes one event; resolves to `{id}` once it is in the log. Text is published as it is, bytes as bytes, any
     * other value as JSON. Repeated attempts carry one idempotency key, so they are one event.
     */
    async publish(topic, data, { type, key, end, contentType, idempotencyKey = randomKey(), retries = 4 } = {}) {
      const url = this.url(`/topics/${topic.split('/').map(encodeURIComponent).join('/')}`, { type, key, end: end ? 'true' : undefined });
      const [body, natural] = bodyOf(data);
      for (let attempt = 0; ; attempt++) {
        let problem, delay = backoff(attempt);
        try {
          const headers = { 'Content-Type': contentType ?? natural, 'Idempotency-Key': idempotencyKey };
          const response = await this.fetch(url, { method: 'POST', body, headers });
          if (response.ok) return await response.json();
          problem = await PushProblem.of(response);
          delay = Math.max(delay, retryAfter(response) ?? 0);
        } catch (error) {
          problem = error;
        }
        const passing = !(problem instanceof PushProblem) || problem.status === 429 || problem.status >= 500;
        if (!passing || attempt >= retries) throw problem;
        await new Promise(resolve => setTimeout(resolve, delay));
      }
    }

    /** Stops every follow. */
    close() {
      for (const follow of [...this.#follows]) follow.close();
    }

    /** @internal */
    url(path, parameters = {}) {
      const url = new URL(this.#base);
      url.pathname = url.pathname.replace(/\/$/, '') + path;
      for (const [name, values] of Object.entries(parameters)) {
        for (const value of [values].flat()) if (value !== undefined) url.searchParams.append(name, value);
      }
      return url;
    }

    /** @internal */
    async fetch(url, init) {
      const token = await this.token();
      const ticket = await this.ticket();
      if (ticket && (init.method ?? 'GET') === 'GET') url.searchParams.set('ticket', ticket);
      const headers = { ...init.headers, ...(token && { Authorization: `Bearer ${token}` }) };
      return fetch(url, { cache: 'no-store', credentials: this.#options.credentials ?? 'same-origin', ...init, headers });
    }

    /** @internal */
    async token() { return valueOf(this.#options.token); }
    /** @internal */
    async ticket() { return valueOf(this.#options.ticket); }
    /** @internal Whether a new credential can be had when one has run out. */
    get renews() { return [this.#options.token, this.#options.ticket].some(one => typeof one === 'function'); }
    /** @internal */
    get opening() { return this.#options.openTimeout ?? OPENING; }
    /** @internal */
    get climbAfter() { return this.#options.retryBetterAfter ?? CLIMB_AFTER; }
    /** @internal */
    get transports() { return this.#options.transports ?? TRANSPORTS; }
  }

  /** One position in the log, read on through whatever works until it is closed, ended or refused. */
  class Follow extends Emitter {
    #push;
    #onEvent;
    #patterns;
    #start;
    #position;
    #last;
    #state = 'connecting';
    #transport;
    #connection;
    #ladder;
    #wake;
    #isFree = true;
    #refusals = 0;

    constructor(push, patterns, { after, last, since }, onEvent) {
      super();
      this.#push = push;
      this.#onEvent = onEvent;
      this.#patterns = new Set(patterns);
      this.#start = { after, last, since };
      this.#ladder = new Ladder(push.transports, push.climbAfter);
      // After the caller has the follow in hand and its listeners on it.
      Promise.resolve().then(() => this.#run());
    }

    /** The patterns that are followed; those whose topic has ended are gone. */
    get patterns() { return [...this.#patterns]; }
    /** Where reading has come to: pass it as `after` to go on from here another day. */
    get position() { return this.#position; }
    /** 'connecting', 'open', 'waiting' (to reconnect), 'ended', 'stopped' or 'closed'. */
    get state() { return this.#state; }
    /** 'websocket', 'stream' or 'poll'. */
    get transport() { return this.#transport; }

    /** Follows more patterns, from the present position on. */
    add(...patterns) { this.#change(patterns.flat(), 'subscribe'); }
    /** Follows some patterns no longer. */
    remove(...patterns) { this.#change(patterns.flat(), 'unsubscribe'); }
    /** Follows nothing any more. */
    close() { this.#finish('closed'); }

    #change(patterns, verb) {
      const changed = patterns.filter(pattern => this.#patterns.has(pattern) === (verb === 'unsubscribe'));
      if (changed.length === 0 || this.#isOver()) return;
      for (const pattern of changed) this.#patterns[verb === 'subscribe' ? 'add' : 'delete'](pattern);
      if (this.#patterns.size === 0) return this.#finish('closed');
      // A WebSocket is told; anything else is asked again, for the new patterns at the same position.
      if (!this.#connection?.change?.(verb, changed)) this.#connection?.abort('changed');
    }

    #isOver() { return ['ended', 'stopped', 'closed'].includes(this.#state); }

    async #run() {
      addEventListener?.('online', this.#hurry);
      while (!this.#isOver()) {
        this.#transport = this.#ladder.current;
        this.#set('connecting');
        this.#connection = new Connection(this, this.#push);
        const outcome = await this.#connection.run(this.#transport).catch(error => ({ failed: true, reason: String(error.message ?? error) }));
        this.#connection = undefined;
        if (this.#isOver()) break;
        await this.#next(outcome);
      }
      globalThis.removeEventListener?.('online', this.#hurry);
    }

    /** What follows from how a connection ended. */
    async #next({ ended, stop, unauthorized, failed, changed, reason, code, after_ms }) {
      if (ended) return this.#finish('ended');
      if (unauthorized && this.#push.renews && ++this.#refusals <= 3) stop = false;
      if (stop) return this.#finish('stopped', { reason, code });
      if (changed) return;
      const isNextTried = failed && this.#ladder.handleFailure();
      if (isNextTried && after_ms === undefined) return;
      if (!failed) this.#ladder.handleLoss();
      const delay = after_ms ?? backoff(this.#ladder.attempts);
      this.#set('waiting', { reason, code, after_ms: delay });
      this.#tell('reconnecting', { reason, code, after_ms: delay });
      await new Promise(resolve => {
        const timer = setTimeout(resolve, delay);
        this.#wake = () => { clearTimeout(timer); resolve(); };
        this.#isFree = after_ms === undefined;
      });
      this.#wake = undefined;
    }

    /** The network is back. A moment that the server has named is kept, so that everybody comes back at their own. */
    #hurry = () => { if (this.#isFree) this.#wake?.(); };

    #finish(state, detail = {}) {
      if (this.#isOver()) return;
      this.#set(state, detail);
      this.#connection?.abort(state);
      this.#wake?.();
      this.emit('over');
    }

    #set(state, detail = {}) {
      this.#state = state;
      this.#tell('state', { state, transport: this.#transport, ...detail });
    }

    #tell(name, detail) {
      const told = { ...detail, follow: this };
      this.emit(name, told);
      this.#push.emit(name, told);
    }

    /** @internal What to ask the server for: once there is a position, that and nothing else. */
    get start() { return this.#position ? { after: this.#position } : this.#start; }

    /** @internal The connection is open, and reading goes on from `at`. */
    handleOpen(at) {
      this.#position ??= at;
      this.#refusals = 0;
      this.#ladder.handleSuccess();
      if (this.#state !== 'open') this.#set('open');
    }

    /** @internal Only an event moves the position, and never back: what comes twice is dropped. */
    handleEvent(event) {
      const { epoch, offset } = placeOf(event.id);
      if (this.#last?.epoch === epoch && offset <= this.#last.offset) return;
      this.#last = { epoch, offset };
      this.#position = event.id;
      if (event.data_base64 !== undefined) event.bytes = Uint8Array.from(atob(event.data_base64), byte => byte.charCodeAt(0));
      if (this.#onEvent) call(this.#onEvent, event);
      this.#tell('event', { event });
    }

    /** @internal A gap does not move the position: a cut right after it must not skip what follows it. */
    handleGap(gap) {
      // The log was set back, so its numbers come again and mean something new.
      if (gap.reason === 'rewound') this.#last = undefined;
      this.#tell('gap', gap);
    }

    /** @internal Nothing more will come for this pattern. */
    handleEnd(end) {
      this.#patterns.delete(end.match);
      this.#tell('end', end);
      return this.#patterns.size === 0;
    }

    /** @internal Patterns that were to be added are refused; what was there before goes on. */
    handleRefusal(error, patterns = []) {
      for (const pattern of patterns) this.#patterns.delete(pattern);
      this.#tell('error', { ...error, patterns });
    }

    /** @internal */
    handlePosition(position) { this.#position = position; }
    /** @internal */
    handleOther(name, detail) { this.#tell(name, detail); }
  }

  /** Which transport to use next. */
  class Ladder {
    #rungs;
    #climbAfter;
    #at = 0;
    #failures = 0;
    #worked = new Set();
    #fellAt = 0;
    #openedAt = 0;
    /** Attempts since a connection has held for a while, over all transports */
    attempts = 0;

    constructor(rungs, climbAfter) {
      this.#rungs = rungs;
      this.#climbAfter = climbAfter;
    }

    get current() {
      if (this.#at > 0 && Date.now() - this.#fellAt > this.#climbAfter) this.#at = 0;
      return this.#rungs[this.#at];
    }

    handleSuccess() {
      this.#worked.add(this.#rungs[this.#at]);
      this.#failures = 0;
      this.#openedAt = Date.now();
    }

    /** The connection was open and is lost. */
    handleLoss() { this.attempts = Date.now() - this.#openedAt > HELD ? 0 : this.attempts + 1; }

    /** The connection never opened; true if the next transport is to be tried at once. */
    handleFailure() {
      this.#failures++;
      const patience = this.#worked.has(this.#rungs[this.#at]) ? PATIENCE : 1;
      if (this.#failures < patience) {
        this.attempts++;
        return false;
      }
      this.#failures = 0;
      this.#fellAt = Date.now();
      this.#at = (this.#at + 1) % this.#rungs.length;
      if (this.#at > 0) return true;
      // Nothing works, so it is not the transport.
      this.attempts++;
      return false;
    }
  }

  /** One connection of a follow; `run` resolves to how it ended. */
  class Connection {
    #follow;
    #push;
    #abort = new AbortController();
    #socket;
    #reference = 0;
    #changes = new Map();
    #afterMs;
    #transport;
    #begun = Date.now();

    constructor(follow, push) {
      this.#follow = follow;
      this.#push = push;
    }

    run(transport) {
      this.#transport = transport;
      switch (transport) {
        case 'websocket': return this.#webSocket();
        case 'stream': return this.#stream();
        case 'poll': return this.#poll();
        default: return Promise.resolve({ stop: true, reason: `${transport} is not a transport` });
      }
    }

    abort(reason) { this.#abort.abort(reason); }

    /** Tells the server of changed patterns, if this connection can. */
    change(verb, patterns) {
      if (this.#transport !== 'websocket') return false;
      // Before it is open, they will be in what it asks for.
      if (this.#socket?.readyState === 1) this.#changes.set(this.#say({ [verb]: { match: patterns } }), patterns);
      return true;
    }

    #say(command) {
      const ref = ++this.#reference;
      this.#socket.send(JSON.stringify({ ref, ...command }));
      return ref;
    }

    async #webSocket() {
      if (typeof WebSocket === 'undefined') return { failed: true, reason: 'no WebSocket here' };
      const [token, ticket] = [await this.#push.token(), await this.#push.ticket()];
      const url = this.#push.url('/topics', { ticket });
      url.protocol = url.protocol.replace('http', 'ws');
      if (this.#abort.signal.aborted) return { changed: true };
      return new Promise(resolve => {
        const socket = this.#socket = new WebSocket(url, 'push.v1');
        let timer, refresh, subscribe, isOpen = false, isOver = false;
        const over = outcome => {
          if (isOver) return;
          isOver = true;
          clearTimeout(timer);
          this.#abort.signal.removeEventListener('abort', aborted);
          socket.onopen = socket.onmessage = socket.onclose = null;
          if (socket.readyState < 2) socket.close(1000);
          resolve(outcome);
        };
        const aborted = () => over({ changed: true });
        this.#abort.signal.addEventListener('abort', aborted);
        const watch = (milliseconds, late) => { clearTimeout(timer); timer = setTimeout(late, milliseconds); };
        // A browser does not show the frames by which a WebSocket is asked whether it lives.
        const listen = () => watch(ASK_AFTER, () => {
          this.#say({ ping: {} });
          watch(ANSWER, () => over({ reason: 'the server is silent' }));
        });
        watch(this.#push.opening, () => over({ failed: true, reason: 'the WebSocket did not open in time' }));
        socket.onopen = () => {
          if (token) refresh = this.#say({ refresh: { token } });
          subscribe = this.#say({ subscribe: { match: this.#follow.patterns, ...this.#follow.start } });
        };
        socket.onmessage = ({ data }) => {
          const message = JSON.parse(data);
          if (isOpen) listen();
          if (message.error && !isOpen) {
            // Without a subscription there is nothing to stay for. A server that does not know the command is asked otherwise.
            return over(message.ref === subscribe ? refusal(message.error) : { failed: true, reason: message.error.message });
          }
          if (message.error) return this.#follow.handleRefusal(message.error, this.#changes.get(message.ref));
          if (message.ref === subscribe && message.result) {
            isOpen = true;
            listen();
            return this.#follow.handleOpen(message.result.at);
          }
          if (message.ref === undefined && this.#handlePush(message)) over({ ended: true });
        };
        socket.onclose = ({ code, reason }) => {
          // A token that could not be shown in time is shown in a header, by the next transport.
          if (code === 4501 && token && !isOpen) return over({ failed: true, code, reason });
          over(closed(code, reason, this.#afterMs, isOpen));
        };
      });
    }

    /** Something the server says unasked; true once nothing is left to follow. */
    #handlePush(message) {
      const [[name, detail]] = Object.entries(message);
      switch (name) {
        case 'event': this.#follow.handleEvent(detail); break;
        case 'gap': this.#follow.handleGap(detail); break;
        case 'end':
          if (detail.at) this.#follow.handlePosition(detail.at);
          return this.#follow.handleEnd(detail);
        case 'reconnect': this.#afterMs = detail.after_ms; break;
        case 'expiring': this.#renew(detail); break;
        case 'state': break;
        default: this.#follow.handleOther(name, detail);
      }
      return false;
    }

    async #renew(expiring) {
      this.#follow.handleOther('expiring', expiring);
      const token = this.#push.renews && await this.#push.token();
      if (token && this.#socket?.readyState === 1) this.#say({ refresh: { token } });
    }

    /** The stream goes on under a new token; if that fails, its end is what tells. */
    async #renewStream(connection, expiring) {
      this.#follow.handleOther('expiring', expiring);
      if (!connection || !this.#push.renews) return;
      await this.#push.fetch(this.#push.url(`/connections/${connection}/refresh`), { method: 'POST' }).catch(() => {});
    }

    /** An event stream, read with fetch: unlike EventSource it sees every type of event and every status. */
    async #stream() {
      const cancel = new AbortController();
      this.#abort.signal.addEventListener('abort', () => cancel.abort());
      let late = false, timer;
      const watch = milliseconds => {
        clearTimeout(timer);
        timer = setTimeout(() => { late = true; cancel.abort(); }, milliseconds);
      };
      watch(this.#push.opening);
      let isOpen = false, outcome, retry, connection;
      try {
        const url = this.#push.url('/topics', { match: this.#follow.patterns, ...this.#follow.start, format: 'json' });
        const response = await this.#push.fetch(url, { headers: { Accept: 'text/event-stream' }, signal: cancel.signal });
        if (response.status === 204) return { ended: true };
        if (!response.ok) return refusedBy(response, await PushProblem.of(response));
        if (!/^text\/event-stream/.test(response.headers.get('content-type') ?? '')) return { failed: true, reason: 'the answer is not an event stream' };
        const parser = new EventStreamParser(milliseconds => retry = milliseconds, ({ type, id, data }) => {
          if (outcome) return;
          const detail = JSON.parse(data);
          if (!type.startsWith('push.')) {
            this.#follow.handleEvent(detail);
          } else if (type === 'push.state') {
            isOpen = true;
            connection = detail.connection;
            this.#follow.handleOpen(detail.at);
          } else if (type === 'push.end') {
            if (id) this.#follow.handlePosition(id);
            if (!detail.match) outcome = dismissed(detail.reason, this.#push.renews);
            else if (this.#follow.handleEnd(detail)) outcome = { ended: true };
          } else if (type === 'push.expiring') {
            this.#renewStream(connection, detail);
          } else {
            this.#handlePush({ [type.slice(5)]: detail });
          }
        });
        const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
        for (;;) {
          const { value, done } = await reader.read();
          if (done || outcome) break;
          watch(SILENCE);
          parser.feed(value);
        }
      } catch (error) {
        if (this.#abort.signal.aborted) return { changed: true };
        const reason = late ? 'the server is silent' : String(error.message ?? error);
        return outcome ?? { failed: !isOpen, reason, after_ms: this.#afterMs };
      } finally {
        clearTimeout(timer);
        cancel.abort();
      }
      return outcome ?? { reason: 'the stream ended', after_ms: this.#afterMs ?? retry };
    }

    async #poll() {
      const signal = this.#abort.signal;
      let isOpen = false;
      while (!signal.aborted) {
        const asked = Date.now();
        let page;
        try {
          // The first answer comes at once, so that there is a position to come back to.
          const wait = this.#follow.position ? `${POLL_WAIT}ms` : undefined;
          const url = this.#push.url('/topics', { match: this.#follow.patterns, ...this.#follow.start, wait });
          const limit = AbortSignal.any ? AbortSignal.any([signal, AbortSignal.timeout(POLL_WAIT + this.#push.opening)]) : signal;
          const response = await this.#push.fetch(url, { headers: { Accept: 'application/json' }, signal: limit });
          if (!response.ok) return refusedBy(response, await PushProblem.of(response));
          page = await response.json();
        } catch (error) {
          if (signal.aborted) break;
          return { failed: !isOpen, reason: String(error.message ?? error) };
        }
        if (signal.aborted) break;
        isOpen = true;
        this.#follow.handleOpen(page.next);
        if (this.#handlePage(page)) return { ended: true };
        if (Date.now() - this.#begun > this.#push.climbAfter && this.#push.transports[0] !== 'poll') return { changed: true };
        const isEmpty = page.events.length === 0 && page.gaps.length === 0;
        // A server that leaves answers at once, with nothing.
        if (isEmpty && page.up_to_date && Date.now() - asked < 1000) await new Promise(resolve => setTimeout(resolve, 1000));
      }
      return { changed: true };
    }

    /** Everything of a page in the order of the log; true once nothing is left to follow. */
    #handlePage({ events, gaps, ends = [], next }) {
      const waiting = [...gaps];
      for (const event of events) {
        const here = placeOf(event.id);
        while (waiting.length && isBefore(placeOf(waiting[0].to), here)) this.#follow.handleGap(waiting.shift());
        this.#follow.handleEvent(event);
      }
      for (const gap of waiting) this.#follow.handleGap(gap);
      this.#follow.handlePosition(next);
      return ends.map(end => this.#follow.handleEnd(end)).some(isLast => isLast);
    }
  }

  /** The text of an event stream, taken apart (WHATWG HTML 9.2.6). */
  class EventStreamParser {
    #rest = '';
    #data = [];
    #type = '';
    #id;
    #onRetry;
    #onEvent;

    constructor(onRetry, onEvent) {
      this.#onRetry = onRetry;
      this.#onEvent = onEvent;
    }

    feed(text) {
      // A carriage return at the very end may be half of a line end.
      const lines = (this.#rest + text).split(/\r\n|\n|\r(?!$)/);
      this.#rest = lines.pop();
      for (const line of lines) this.#line(line);
    }

    #line(line) {
      if (line === '') return this.#dispatch();
      const [, name, value] = /^([^:]*)(?:: ?)?(.*)$/s.exec(line);
      if (name === 'data') this.#data.push(value);
      else if (name === 'event') this.#type = value;
      else if (name === 'id') this.#id = value;
      else if (name === 'retry' && /^\d+$/.test(value)) this.#onRetry(Number(value));
    }

    #dispatch() {
      const [type, data, id] = [this.#type || 'message', this.#data.join('\n'), this.#id];
      const isEvent = this.#data.length > 0;
      [this.#data, this.#type, this.#id] = [[], '', undefined];
      if (isEvent) this.#onEvent({ type, id, data });
    }
  }

  /** How a close code ends a connection: 4500 to 4999 do not come back. */
  function closed(code, reason, afterMs, isOpen) {
    const named = /after (\d+) ms/.exec(reason);
    const after_ms = afterMs ?? (named ? Number(named[1]) : undefined);
    if (code === 4501 || code === 4003) return { stop: code === 4501, unauthorized: true, code, reason };
    if (code >= 4500 && code <= 4999) return { stop: true, code, reason };
    return { failed: !isOpen && after_ms === undefined && !(code >= 4000), code, reason: reason || 'the connection was lost', after_ms };
  }

  /** How a refused command ends a connection. */
  function refusal({ code, message }) {
    if (code === 'unavailable') return { reason: message };
    return { stop: true, unauthorized: code === 'unauthorized' || code === 'expired', code, reason: message };
  }

  /** How a status ends a connection. */
  function refusedBy(response, problem) {
    const reason = problem.message;
    if (response.status === 429 || response.status >= 500) return { failed: response.status !== 503 && response.status !== 429, reason, after_ms: retryAfter(response) };
    return { stop: true, unauthorized: response.status === 401, code: problem.kind, reason };
  }

  /** How a `push.end` of the whole stream ends a connection. */
  function dismissed(reason, renews) {
    if (reason === 'lagged') return { reason };
    return { stop: reason !== 'expired' || !renews, code: reason, reason };
  }

  /** Somewhere between nothing and twice as much as the last time, so that clients do not come back in step. */
  function backoff(attempts) {
    return 100 + Math.random() * Math.min(BACKOFF.max, BACKOFF.first * 2 ** attempts);
  }

  /** The delay of a `Retry-After`, spread over as much again. */
  function retryAfter(response) {
    const seconds = Number.parseInt(response.headers.get('retry-after') ?? '', 10);
    return Number.isNaN(seconds) ? undefined : seconds * 1000 * (1 + Math.random());
  }

  function placeOf(position) {
    const [epoch, offset] = position.split('-');
    return { epoch, offset: Number(offset) };
  }

  const isBefore = (a, b) => a.epoch !== b.epoch || a.offset < b.offset;

  async function valueOf(given) {
    return typeof given === 'function' ? given() : given;
  }

  function bodyOf(data) {
    if (data === undefined) return ['', 'text/plain'];
    if (typeof data === 'string') return [data, 'text/plain'];
    if (data instanceof Blob) return [data, data.type || 'application/octet-stream'];
    if (data instanceof ArrayBuffer || ArrayBuffer.isView(data)) return [data, 'application/octet-stream'];
    return [JSON.stringify(data) ?? '', 'application/json'];
  }

  /** `crypto.randomUUID` is for pages with HTTPS only. */
  function randomKey() {
    return Array.from(crypto.getRandomValues(new Uint8Array(16)), byte => byte.toString(16).padStart(2, '0')).join('');
  }

  globalThis.Push = Push;
  globalThis.PushProblem = PushProblem;
})();
