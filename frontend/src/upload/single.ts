// One small file on its own way, beside the tray: a mask, or a ground truth.

import { Problem } from "../api/problem";
import { pathOf } from "./dropped";
import { Transfer } from "./transfer";
import { TusCarrier } from "./tus";

/** Send a file; answers with "uploads/{id}". Throws a Problem. */
export function sendOne(file: File, onShare: (share: number) => void): Promise<string> {
  const key = [pathOf(file) || file.name, file.size, file.lastModified, "alone"].join("|");
  const transfer = new Transfer(key, file.name, file.size, file);
  return new Promise((resolve, reject) => {
    new TusCarrier().send(transfer, {
      onProgress: (sent_bytes) => onShare(file.size > 0 ? sent_bytes / file.size : 0),
      onArrived: (upload) => resolve(`uploads/${upload}`),
      onFailed: (problem: Problem) => reject(problem),
    });
  });
}
