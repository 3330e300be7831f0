// Server-sent events out of a stream of text.

export interface ServerEvent {
  /** "message" unless the server names another. */
  kind: string;
  data: string;
  /** Of the last event that had one; "" for none. */
  id: string;
}

/** Takes text as it arrives, cut anywhere, and gives whole events. */
export class EventParser {
  /** What the server asks to wait before connecting again; 0 = it did not say. */
  retry_ms = 0;
  lastId: string;
  #rest = "";
  #kind = "";
  #data: string[] = [];

  constructor(lastId = "") {
    this.lastId = lastId;
  }

  push(text: string): ServerEvent[] {
    const lines = (this.#rest + text).split(/\r\n|\n|\r(?!$)/);
    this.#rest = lines.pop() ?? "";
    return lines.flatMap((line) => this.#line(line));
  }

  #line(line: string): ServerEvent[] {
    if (line === "") return this.#end();
    if (line.startsWith(":")) return [];
    const [, name = "", value = ""] = /^([^:]*)(?:: ?(.*))?$/s.exec(line) ?? [];
    if (name === "data") this.#data.push(value);
    else if (name === "event") this.#kind = value;
    else if (name === "id" && !value.includes("\0")) this.lastId = value;
    else if (name === "retry" && /^\d+$/.test(value)) this.retry_ms = Number(value);
    return [];
  }

  #end(): ServerEvent[] {
    const event = { kind: this.#kind || "message", data: this.#data.join("\n"), id: this.lastId };
    const isEmpty = this.#data.length === 0;
    this.#kind = "";
    this.#data = [];
    return isEmpty ? [] : [event];
  }
}
