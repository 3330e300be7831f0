// A whole kiosk for the browser tests: `kiosk up` on free ports, with a home of its own.

import { execFileSync, spawn, type ChildProcess } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";

export const CHECKOUT = resolve(import.meta.dirname, "../..");
const PYTHON = process.env.KIOSK_PYTHON ?? join(CHECKOUT, ".venv/bin/python");
const STARTED_WITHIN_MS = 120_000;
const STOPPED_WITHIN_MS = 30_000;

export class Kiosk {
  readonly home = mkdtempSync(join(tmpdir(), "kiosk-page-"));
  readonly images = join(this.home, "made-up");
  #process: ChildProcess | undefined;
  #ports: [number, number] | undefined;

  /** Make the images and start everything; `settings` are KIOSK_ variables. */
  async start(settings: Record<string, string> = {}): Promise<void> {
    this.python(join(CHECKOUT, "frontend/browser/images.py"), this.images);
    this.#ports = [await freePort(), await freePort()];
    await this.resume(settings);
  }

  get url(): string {
    return `http://127.0.0.1:${this.#ports![0]}`;
  }

  image(name: string): string {
    return join(this.images, name);
  }

  /** Run Python in the kiosk's environment; what it prints. */
  python(...argv: string[]): string {
    return execFileSync(PYTHON, argv, {
      cwd: CHECKOUT, env: this.#environment({}), encoding: "utf8", stdio: ["ignore", "pipe", "ignore"],
    });
  }

  async resume(settings: Record<string, string> = {}): Promise<void> {
    const [web, grpc] = this.#ports!;
    const argv = ["-m", "kiosk.cli", "up", "--web-port", `${web}`, "--grpc-port", `${grpc}`];
    this.#process = spawn(PYTHON, argv, {
      cwd: CHECKOUT,
      env: this.#environment(settings),
      stdio: process.env.KIOSK_LOUD ? "inherit" : "ignore",
    });
    await until(() => this.#answers(), STARTED_WITHIN_MS, "the kiosk did not start");
  }

  /** Kill the server alone, as a crash would; `kiosk up` starts it anew. */
  killServer(): void {
    const pids = execFileSync("pgrep", ["-P", `${this.#process!.pid}`, "-f", "server"], { encoding: "utf8" });
    for (const pid of pids.trim().split("\n")) {
      const words = readFileSync(`/proc/${pid}/cmdline`, "utf8").split("\0");
      if (words.includes("server")) process.kill(Number(pid), "SIGKILL");
    }
  }

  async stop(): Promise<void> {
    const running = this.#process;
    if (running && running.exitCode === null) {
      running.kill("SIGINT");
      await until(() => running.exitCode !== null, STOPPED_WITHIN_MS, "the kiosk did not stop");
    }
    rmSync(this.home, { recursive: true, force: true });
  }

  #environment(settings: Record<string, string>): NodeJS.ProcessEnv {
    return { ...process.env, PYTHONPATH: CHECKOUT, KIOSK_HOME: this.home, ...settings };
  }

  async #answers(): Promise<boolean> {
    try {
      const models = await fetch(`${this.url}/api/v1/models`);
      // With keys asked for, 401 is an answer too.
      return models.status === 401 || (models.ok && (await models.json()).models.length > 0);
    } catch {
      return false;
    }
  }
}

export async function until(
  check: () => boolean | Promise<boolean>, withinMs: number, otherwise: string,
): Promise<void> {
  const end = Date.now() + withinMs;
  while (!(await check())) {
    if (Date.now() > end) throw new Error(otherwise);
    await new Promise((resume) => setTimeout(resume, 100));
  }
}

function freePort(): Promise<number> {
  return new Promise((resolved) => {
    const server = createServer().listen(0, "127.0.0.1", () => {
      const address = server.address();
      const port = typeof address === "object" && address ? address.port : 0;
      server.close(() => resolved(port));
    });
  });
}
