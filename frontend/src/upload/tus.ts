// Carries files by the tus protocol: in pieces, each checked by its SHA-256, resumable.

import type { DetailedError, HttpStack, PreviousUpload, Upload } from "tus-js-client";

import { tellSignedOut } from "../api/client";
import { Problem } from "../api/problem";
import { UPLOADS } from "../api/uploads";
import { CheckedRequests } from "./checkedRequests";
import type { Carrier, Told, Transfer } from "./transfer";

// A piece is kept whole or not at all, since its checksum is of the whole: a slow line that breaks
// loses two seconds, and a fast one is not held up by asking.
const PIECE_BYTES = 2 * 1024 * 1024;
// Another request is writing, or has written, to this upload, or a piece has come in damaged: asking
// again how far it is helps. An outage is not for the library: the queue waits for its end.
const RETRY_DELAYS_MS = [500, 1500, 4000];
const WORTH_ASKING = [409, 423, 460];

// Not in the first load of the page.
const library = (): Promise<typeof import("tus-js-client")> => import("tus-js-client");

export class TusCarrier implements Carrier {
  send(transfer: Transfer, told: Told): () => void {
    const run = new Run(transfer, told);
    void run.begin();
    return () => run.stop();
  }

  forget(transfer: Transfer): void {
    void forgetUpload(transfer);
  }
}

class Run {
  #upload: Upload | null = null;
  #isStopped = false;

  constructor(private readonly transfer: Transfer, private readonly told: Told) {}

  async begin(): Promise<void> {
    const { file } = this.transfer;
    if (!file) return;
    try {
      const { Upload, DefaultHttpStack } = await library();
      const requests = new CheckedRequests(new DefaultHttpStack({}));
      const upload = new Upload(file, this.#options(file, requests));
      const [before] = await upload.findPreviousUploads();
      if (before) upload.resumeFromPreviousUpload(before);
      if (this.#isStopped) return;
      this.#upload = upload;
      upload.start();
    } catch (error) {
      if (!this.#isStopped) this.told.onFailed(problemOf(error));
    }
  }

  stop(): void {
    this.#isStopped = true;
    void this.#upload?.abort();
  }

  #options(file: File, httpStack: HttpStack): ConstructorParameters<typeof Upload>[1] {
    const { told, transfer } = this;
    return {
      endpoint: UPLOADS,
      chunkSize: PIECE_BYTES,
      retryDelays: RETRY_DELAYS_MS,
      metadata: { filename: file.name },
      httpStack,
      fingerprint: () => Promise.resolve(transfer.key),
      removeFingerprintOnSuccess: true,
      onShouldRetry: (error) => !this.#isStopped && isWorthRetrying(error),
      onProgress: (sent_bytes) => { if (!this.#isStopped) told.onProgress(sent_bytes); },
      onSuccess: () => told.onArrived(idOf(this.#upload?.url ?? "")),
      onError: (error) => { if (!this.#isStopped) told.onFailed(problemOf(error)); },
    };
  }
}

function isWorthRetrying(error: DetailedError): boolean {
  return WORTH_ASKING.includes(error.originalResponse?.getStatus() ?? 0);
}

/** What an error of the library's means for people. */
export function problemOf(error: unknown): Problem {
  if (error instanceof Problem) return error;
  // The library wraps what a request was stopped by.
  const { causingError } = error as Partial<DetailedError>;
  if (causingError instanceof Problem) return causingError;
  const response = (error as Partial<DetailedError>).originalResponse;
  if (response) {
    const status = response.getStatus();
    if (status === 401) tellSignedOut();
    return Problem.from(status, response.getBody(), response.getHeader("Retry-After") ?? null);
  }
  if ((error as Partial<DetailedError>).originalRequest) return Problem.unreachable();
  return new Problem("The browser cannot read this file. Was it moved or changed?", 400);
}

async function forgetUpload({ key }: Transfer): Promise<void> {
  const { defaultOptions, Upload } = await library();
  const known: PreviousUpload[] = await defaultOptions.urlStorage.findUploadsByFingerprint(key);
  for (const { uploadUrl, urlStorageKey } of known) {
    await defaultOptions.urlStorage.removeUpload(urlStorageKey);
    // It ends by itself after a while; being told is only kinder.
    if (uploadUrl) await Upload.terminate(uploadUrl).catch(() => {});
  }
}

const idOf = (url: string): string => url.split("/").pop() ?? "";
