// What went wrong with a request, as the server says it (RFC 9457).

const UNREACHABLE = "The kiosk does not answer. Is it still running?";

interface ProblemJson {
  detail?: unknown;
  reason?: unknown;
  errors?: { field?: unknown }[];
}

/** The server's own sentence about a request that failed; status 0 when it was not reached. */
export class Problem extends Error {
  constructor(
    readonly detail: string,
    readonly status = 0,
    readonly reason = "",
    readonly field = "",
    readonly retryAfter_s = 0,
  ) {
    super(detail);
    this.name = "Problem";
  }

  static unreachable(): Problem {
    return new Problem(UNREACHABLE);
  }

  /** From what a server answered; `body` is its text. */
  static from(status: number, body: string, retryAfter: string | null = null): Problem {
    const json = parsed(body);
    const field = json.errors?.[0]?.field;
    return new Problem(
      text(json.detail) || `The kiosk answered with status ${status}.`,
      status,
      text(json.reason),
      text(field),
      Number(retryAfter) || 0,
    );
  }

  /** Whether the same request may succeed a little later. */
  get isPassing(): boolean {
    return this.status === 0 || this.status === 429 || this.status >= 502;
  }
}

/** The sentence of any error, for people. */
export function sentenceOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

export function isAbort(error: unknown): boolean {
  return error instanceof DOMException && error.name === "AbortError";
}

function parsed(body: string): ProblemJson {
  try {
    const json: unknown = JSON.parse(body);
    return typeof json === "object" && json !== null ? json : {};
  } catch {
    // A proxy in between answers with a page of its own.
    return {};
  }
}

const text = (value: unknown): string => (typeof value === "string" ? value : "");
