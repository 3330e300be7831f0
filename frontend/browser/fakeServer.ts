/// <reference types="node" />
// Serves a built page under the kiosk's content policy, and a made-up job behind it.

import { readFile } from "node:fs/promises";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { extname, join, normalize } from "node:path";
import { gzipSync } from "node:zlib";

import { COMPARISON, lineage, STATISTICS } from "./madeUpFigures";
import { IMAGE, imageTile, instances, labelAt, labelTile, storedAt, tracks } from "./madeUpJob";

const TYPES: Record<string, string> = {
  ".html": "text/html", ".js": "text/javascript", ".css": "text/css", ".json": "application/json",
};
const POLICY = "default-src 'self'; img-src 'self' blob: data:; base-uri 'none';";

export interface FakeServer {
  url: string;
  /** Paths asked for so far. */
  asked: string[];
  /** How paths that match are answered as long as this is set. */
  broken: { path: RegExp; status: number } | null;
  close(): Promise<void>;
}

/** Files of `folder`, and the API. */
export async function serve(folder: string): Promise<FakeServer> {
  const fake: FakeServer = { url: "", asked: [], broken: null, close: async () => undefined };
  const server = createServer((request, response) => {
    answer(fake, folder, request, response).catch((error: unknown) => response.writeHead(500).end(String(error)));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  fake.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  fake.close = () => new Promise((resolve) => {
    server.closeAllConnections();
    server.close(() => resolve());
  });
  return fake;
}

async function answer(fake: FakeServer, folder: string, request: IncomingMessage, response: ServerResponse) {
  const { pathname, searchParams } = new URL(request.url ?? "/", "http://localhost");
  fake.asked.push(pathname);
  response.setHeader("Content-Security-Policy", POLICY);
  if (fake.broken?.path.test(pathname)) {
    response.writeHead(fake.broken.status, { "Content-Type": "application/json" });
    response.end(JSON.stringify({ reason: "AWAY", detail: "The store is away for a moment." }));
    return;
  }
  if (pathname.startsWith("/api/v1/")) return answerApi(pathname, searchParams, response);
  const file = normalize(join(folder, pathname === "/" ? "index.html" : pathname));
  if (!file.startsWith(folder)) return void response.writeHead(404).end();
  const data = await readFile(file).catch(() => null);
  if (!data) return void response.writeHead(404).end();
  response.writeHead(200, { "Content-Type": TYPES[extname(file)] ?? "application/octet-stream" }).end(data);
}

function answerApi(path: string, query: URLSearchParams, response: ServerResponse): void {
  const [, kind, ...rest] = path.match(/^\/api\/v1\/(?:jobs|uploads)\/[^/]+\/(\w+)\/?(.*)$/) ?? [];
  const at = (rest[0] ?? "").split("/").filter(Boolean).map(Number);
  if (kind === "image" && at.length === 0) return json(response, IMAGE);
  if (kind === "image") {
    const [level, t, , c, row, column] = at as [number, number, number, number, number, number];
    return bytes(response, path, () => imageTile(level, (y, x) => storedAt(t, c, y, x), row, column));
  }
  if (kind === "labels") {
    const [level, t, , row, column] = at as [number, number, number, number, number];
    return bytes(response, path, () => labelTile(level, (y, x) => labelAt(t, y, x), row, column));
  }
  if (kind === "instances") return json(response, instances(Number(query.get("t"))));
  if (kind === "tracks") return json(response, tracks(Number(query.get("first_t")), Number(query.get("last_t"))));
  if (kind === "statistics") return json(response, STATISTICS);
  if (kind === "lineage") return json(response, lineage());
  if (kind === "comparison") return json(response, COMPARISON);
  response.writeHead(404, { "Content-Type": "application/json" });
  response.end(JSON.stringify({ reason: "NOT_FOUND", detail: "There is nothing here." }));
}

function json(response: ServerResponse, value: unknown): void {
  response.writeHead(200, { "Content-Type": "application/json" }).end(JSON.stringify(value));
}

/** A tile takes thousands of formulas; every test asks for the same ones. */
const packed = new Map<string, Buffer>();

function bytes(response: ServerResponse, path: string, make: () => Uint16Array | Uint32Array): void {
  const data = packed.get(path) ?? gzipSync(new Uint8Array(make().buffer), { level: 1 });
  packed.set(path, data);
  response.writeHead(200, { "Content-Type": "application/octet-stream", "Content-Encoding": "gzip" }).end(data);
}
