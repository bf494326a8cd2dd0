import { existsSync, readFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import type { Log } from "../log.ts";
import { describeSettingsError, type FunctionSettings, readFunctionSettings, UNDECLARED } from "./settings.ts";
import { stampOf } from "./sources.ts";

export interface FunctionSource {
  name: string;
  entrypoint: string;
  verifyJwt: boolean;
  importMap: string | undefined;
}

/** As the platform allows: also what keeps a name from being a path. Folders such as `_shared` are no functions. */
const NAME = /^[A-Za-z][A-Za-z0-9_-]*$/;

/** Which functions there are right now, by the folders of `supabase/functions` and by config.toml. */
export class Registry {
  readonly #directory: string;
  readonly #configPath: string;
  readonly #log: Log;
  #settings: Map<string, FunctionSettings>;
  #configStamp: string;

  constructor(directory: string, configPath: string, log: Log) {
    this.#directory = directory;
    this.#configPath = configPath;
    this.#log = log;
    this.#configStamp = stampOf([configPath]);
    this.#settings = this.#readSettings();
  }

  find(name: string): FunctionSource | undefined {
    if (!NAME.test(name)) return undefined;
    this.#followConfig();
    const settings = this.#settings.get(name) ?? UNDECLARED;
    const entrypoint = this.#locate(settings.entrypoint) ?? join(this.#directory, name, "index.ts");
    if (!settings.enabled || !existsSync(entrypoint)) return undefined;
    return { name, entrypoint, verifyJwt: settings.verifyJwt, importMap: this.#importMapOf(settings, entrypoint) };
  }

  /** The same file that a deployment would read. */
  #importMapOf(settings: FunctionSettings, entrypoint: string): string | undefined {
    const folder = dirname(entrypoint);
    const candidates = ["deno.json", "deno.jsonc", "import_map.json"].map((file) => join(folder, file));
    return this.#locate(settings.importMap) ?? candidates.find((file) => existsSync(file));
  }

  #locate(path: string | undefined): string | undefined {
    return path === undefined ? undefined : resolve(dirname(this.#configPath), path);
  }

  /** An edit that cannot be read changes nothing until it is mended. */
  #followConfig(): void {
    const stamp = stampOf([this.#configPath]);
    if (stamp === this.#configStamp) return;
    this.#configStamp = stamp;
    try {
      this.#settings = this.#readSettings();
    } catch (error) {
      this.#log.error(`${error instanceof Error ? error.message : error}; the settings from before the edit stay`);
    }
  }

  #readSettings(): Map<string, FunctionSettings> {
    if (!existsSync(this.#configPath)) return new Map();
    try {
      return readFunctionSettings(readFileSync(this.#configPath, "utf8"));
    } catch (cause) {
      throw new Error(`${this.#configPath}: ${describeSettingsError(cause)}`, { cause });
    }
  }
}
