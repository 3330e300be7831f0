// Requests of the tus library, each with the checksum of the piece that it brings.

import type { HttpRequest, HttpStack } from "tus-js-client";

import { checksumOf } from "./checksum";

export class CheckedRequests implements HttpStack {
  constructor(private readonly plain: HttpStack) {}

  createRequest(method: string, url: string): HttpRequest {
    const request = this.plain.createRequest(method, url);
    const send = request.send.bind(request);
    request.send = async (body: unknown) => {
      if (body instanceof Blob && body.size > 0) {
        const checksum = await checksumOf(body);
        if (checksum) request.setHeader("Upload-Checksum", checksum);
      }
      return send(body);
    };
    return request;
  }

  getName(): string {
    return "CheckedRequests";
  }
}
