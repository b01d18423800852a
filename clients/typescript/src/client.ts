import createClient, { type Client } from "openapi-fetch";

import type { components, paths } from "./schema.js";

type Schemas = components["schemas"];

/** A block by its height or its hash. */
export type Block = number | bigint | string;
/** What happened, with its place in the order of all. */
export type Event = Schemas["EventRecord"];

export interface MachOptions {
  /** In place of the global `fetch`. */
  fetch?: typeof fetch;
}

/** The server does not answer the question, and says why. */
export class MachError extends Error {
  constructor(
    readonly status: number,
    readonly detail: string,
  ) {
    super(`${status}: ${detail}`);
    this.name = "MachError";
  }
}

/** A mach node at `url`, for example `http://localhost:8080`. */
export function createMach(url: string, options: MachOptions = {}): Mach {
  return new Mach(url, options);
}

export class Mach {
  /** Every path of the OpenAPI document, typed. */
  readonly http: Client<paths>;
  readonly #url: string;
  readonly #fetch: typeof fetch;

  constructor(url: string, options: MachOptions = {}) {
    this.#url = url.replace(/\/+$/, "");
    this.#fetch = options.fetch ?? ((...args) => fetch(...args));
    this.http = createClient<paths>({ baseUrl: this.#url, fetch: this.#fetch });
  }

  async rollups(): Promise<Schemas["RollupView"][]> {
    return answered(await this.http.GET("/v1/rollups"));
  }

  async head(rollup: number): Promise<Schemas["Heads"]> {
    return answered(await this.http.GET("/v1/rollups/{rollup}/head", { params: { path: { rollup } } }));
  }

  async block(rollup: number, block: Block): Promise<Schemas["BlockView"]> {
    const path = { rollup, block: String(block) };
    return answered(await this.http.GET("/v1/rollups/{rollup}/blocks/{block}", { params: { path } }));
  }

  async transaction(rollup: number, hash: string): Promise<Schemas["TransactionView"]> {
    const path = { rollup, hash };
    return answered(await this.http.GET("/v1/rollups/{rollup}/transactions/{hash}", { params: { path } }));
  }

  /** The certificate of a statement by its digest, or of the attestation of a height. */
  async certificate(rollup: number, statement: Block): Promise<Schemas["CertificateFile"]> {
    const path = { rollup, statement: String(statement) };
    return answered(await this.http.GET("/v1/rollups/{rollup}/certificates/{statement}", { params: { path } }));
  }

  async alerts(rollup?: number): Promise<Schemas["AlertView"][]> {
    const query = rollup === undefined ? {} : { rollup };
    return answered(await this.http.GET("/v1/alerts", { params: { query } }));
  }

  async rounds(rollup?: number): Promise<Schemas["RoundView"][]> {
    const query = rollup === undefined ? {} : { rollup };
    return answered(await this.http.GET("/v1/rounds", { params: { query } }));
  }

  /**
   * What happens, beginning with a snapshot or after the event `lastEventId`. It ends with the connection: come back with the
   * id of the last event.
   */
  async *events(options: { rollup?: number; lastEventId?: number; signal?: AbortSignal } = {}): AsyncGenerator<Event> {
    const url = new URL(`${this.#url}/v1/events`);
    if (options.rollup !== undefined) url.searchParams.set("rollup", String(options.rollup));
    const headers: Record<string, string> = { accept: "text/event-stream" };
    if (options.lastEventId !== undefined) headers["last-event-id"] = String(options.lastEventId);
    const answer = await this.#fetch(url, { headers, signal: options.signal ?? null });
    if (!answer.ok || answer.body === null) throw await problem(answer);
    const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
    try {
      let text = "";
      for (;;) {
        const { done, value } = await reader.read();
        if (done) return;
        text += value;
        for (let end = text.indexOf("\n\n"); end >= 0; end = text.indexOf("\n\n")) {
          const data = text
            .slice(0, end)
            .split("\n")
            .filter((line) => line.startsWith("data:"))
            .map((line) => line.slice(5).trimStart());
          text = text.slice(end + 2);
          if (data.length > 0) yield JSON.parse(data.join("\n")) as Event;
        }
      }
    } finally {
      await reader.cancel().catch(() => {});
    }
  }

  /** Waits until a block is as sure as that, or until it is accused or contradicted. */
  async finalized(
    rollup: number,
    block: Block,
    until: "attested" | "confirmed" = "attested",
    signal?: AbortSignal,
  ): Promise<Schemas["BlockView"]> {
    const isDecided = (view: Schemas["BlockView"]) =>
      ["confirmed", "alerted", "contradicted"].includes(view.status) || view.status === until;
    for await (const event of this.events(signal === undefined ? { rollup } : { rollup, signal })) {
      if (event.type === "head" && event.finalizedByStake === null) continue;
      const view = await this.block(rollup, block);
      if (isDecided(view)) return view;
    }
    throw new MachError(0, "the connection ended");
  }
}

function answered<T>(answer: { data?: T; error?: unknown; response: Response }): T {
  if (answer.data !== undefined) return answer.data;
  const error = answer.error as Partial<Schemas["Problem"]> | undefined;
  throw new MachError(answer.response.status, error?.detail ?? answer.response.statusText);
}

async function problem(answer: Response): Promise<MachError> {
  const body = (await answer.json().catch(() => ({}))) as Partial<Schemas["Problem"]>;
  return new MachError(answer.status, body.detail ?? answer.statusText);
}
