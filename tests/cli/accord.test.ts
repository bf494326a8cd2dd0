import { spawn } from "node:child_process";
import { createServer } from "node:http";
import process from "node:process";
import { fileURLToPath } from "node:url";
import pg from "pg";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { process as processCommand } from "../../cli/commands/process.ts";
import { createOutput } from "../../cli/output.ts";
import { LOCAL_SECRET_KEY, LOCAL_URL, openProject } from "../../cli/project.ts";
import { SECRET_KEY } from "../../local/keys.ts";
import { readOptions } from "../../local/options.ts";
import { connectClient } from "../support/client.ts";
import { launch, type Launched } from "../support/launch.ts";

const MAIN = fileURLToPath(new URL("../../cli/main.ts", import.meta.url));

let stack: Launched;
let database: pg.Client;

beforeAll(async () => {
  stack = await launch(["--memory"]);
  database = new pg.Client({ connectionString: stack.databaseUrl });
  await database.connect();
});

afterAll(async () => {
  await database.end();
  await stack.stop();
});

interface Said {
  code: number | null;
  out: string;
  error: string;
}

/** Runs the command as a person would, without the variables of whoever runs the tests. */
function accord(args: string[], environment: NodeJS.ProcessEnv = {}): Promise<Said> {
  const { PATH, HOME } = process.env;
  const child = spawn(process.execPath, ["--import", "tsx", MAIN, ...args], { env: { PATH, HOME, ...environment } });
  const said: Said = { code: null, out: "", error: "" };
  child.stdout.on("data", (chunk) => (said.out += chunk));
  child.stderr.on("data", (chunk) => (said.error += chunk));
  return new Promise((resolve) => child.once("close", (code) => resolve({ ...said, code })));
}

const here = () => ["--url", stack.url];

describe("accord doctor", () => {
  it("finds everything in place on a stack that has just started, and exits 0", async () => {
    const { code, out } = await accord(["doctor", ...here()]);
    expect(out).toMatch(/ok {4}extension vector +version/);
    expect(out).toMatch(/ok {4}key automations_key +the key in Vault is the secret key named default/);
    expect(out).toMatch(/All \d+ checks pass\./);
    expect(code).toBe(0);
  });

  it("names the mend for what is missing, exits 2, and says nothing of the secret itself", async () => {
    await database.query(
      "select vault.update_secret(id, 'sb_secret_forged') from vault.secrets where name = 'automations_key'",
    );
    await database.query("delete from vault.secrets where name = 'project_url'");
    await database.query("select cron.unschedule('accord-housekeeping')");
    try {
      const { code, out } = await accord(["doctor", ...here()]);
      expect(code).toBe(2);
      expect(out).toMatch(/FAIL {2}secret project_url +missing from Vault/);
      expect(out).toContain("Run: select vault.create_secret('https://<project>.supabase.co', 'project_url');");
      expect(out).toMatch(/FAIL {2}key automations_key +the key in Vault is none of the project's secret keys/);
      expect(out).toMatch(/FAIL {2}schedule accord-housekeeping +not scheduled/);
      expect(out).toMatch(/3 of \d+ checks fail\./);
      expect(out).not.toContain("forged");
    } finally {
      await database.query("select vault.create_secret($1, 'project_url')", [stack.url]);
      await database.query("select vault.update_secret(id, $1) from vault.secrets where name = 'automations_key'", [
        SECRET_KEY,
      ]);
      await database.query(
        "select cron.schedule('accord-housekeeping', '17 3 * * *', 'select private.housekeeping()')",
      );
    }
  });

  it("gives programs the same as JSON, and nothing else", async () => {
    const { code, out, error } = await accord(["doctor", "--json", ...here()]);
    const answer = JSON.parse(out) as { ok: boolean; checks: { name: string; ok: boolean }[] };
    expect(answer.ok).toBe(true);
    expect(answer.checks.map(({ name }) => name)).toContain("secret project_url");
    expect(error).toBe("");
    expect(code).toBe(0);
  });

  it("tells a project without the migrations and without the functions how to get them", async () => {
    const project = createServer((request, response) => {
      response.statusCode = 404;
      response.setHeader("content-type", "application/json");
      response.end(JSON.stringify(
        request.url?.startsWith("/rest/v1/rpc/health_checks")
          ? { code: "PGRST202", message: "Could not find the function", details: null, hint: null }
          : { code: "NOT_FOUND", message: "Requested function was not found" },
      ));
    });
    await new Promise<void>((resolve) => project.listen(0, "127.0.0.1", resolve));
    const address = project.address();
    const port = typeof address === "object" && address !== null ? address.port : 0;
    const { code, out } = await accord(["doctor", "--url", `http://127.0.0.1:${port}`]);
    await new Promise((resolve) => project.close(resolve));
    expect(out).toMatch(/FAIL {2}database +answers, but Accord's migrations are not applied/);
    expect(out).toContain("Run: supabase db push.");
    expect(code).toBe(2);
  });
});

describe("accord status", () => {
  it("shows content, schedules and open alerts", async () => {
    await database.query("select private.raise_alert('queue_stuck', 'faq_items', 'Nothing has moved for an hour')");
    const { code, out } = await accord(["status", ...here()]);
    expect(out).toMatch(/faq_items +\d+ +\d+/);
    expect(out).toMatch(/accord-housekeeping +17 3 \* \* \* +never/);
    expect(out).toMatch(
      /Open alerts: 1\n {2}queue_stuck \(faq_items\), 1×, last \d+ s ago\n +Nothing has moved for an hour/,
    );
    expect(code).toBe(0);
    await database.query("select private.resolve_alert('queue_stuck', 'faq_items')");
    expect((await accord(["status", ...here()])).out).toContain("No open alerts");
  });
});

describe("accord process, resync, retry and search", () => {
  describe("whoever watches", () => {
    async function watch(count?: () => Promise<number>): Promise<{ code: number; drawn: string }> {
      let drawn = "";
      const output = createOutput((text) => (drawn += text), { color: false, isWatched: true });
      const project = openProject({ url: stack.url, environment: {} });
      const watched = count === undefined ? project : { ...project, count };
      const { code } = await processCommand.run({
        project: watched,
        argument: "",
        options: {},
        force: false,
        output,
        now: new Date(),
      });
      return { code, drawn };
    }

    it("sees how far the queue is", async () => {
      expect(await watch()).toEqual({ code: 0, drawn: expect.stringMatching(/█+░* \d+ of \d+/) as string });
    });

    it("is told when that cannot be seen, and the work goes on", async () => {
      const { code, drawn } = await watch(() => Promise.reject(new Error("the API rests")));
      expect(drawn).toContain("How far it is cannot be told: the API rests");
      expect(drawn).toContain("rows agree");
      expect(code).toBe(0);
    });
  });

  it("embed what waits, say what it cost, and find it", async () => {
    await database.query("select public.set_setting('embedding_wake', '\"manual\"')");
    await database.query(
      "insert into public.faq_items (question, answer) values ('Où garer le camion ?', 'Dans la cour.')",
    );
    expect((await accord(["resync", "faq_items", ...here()])).out).toBe(
      "Every row agrees with its embeddings, or waits already.\n",
    );
    const before = await accord(["verify", "faq_items", ...here()]);
    expect(before.out).toMatch(/faq_items +\S+ +missing +nothing is embedded +pending\n1 rows disagree\./);
    expect(before.code).toBe(2);
    const { code, out } = await accord(["process", ...here()]);
    expect(out).toMatch(
      /^\d+ rows agree: \d+ had not changed, 0 are gone\. \d+ requests, \d+ tokens, \$0\.0000; \d+ tokens saved\./,
    );
    expect(code).toBe(0);
    expect((await accord(["search", "garer", "le", "camion", ...here()])).out).toMatch(
      /^0\.\d+ {2}Où garer le camion \? Dans la cour\.\n +faq_items /,
    );
    expect((await accord(["verify", ...here()])).out).toBe("Every row and its embeddings agree.\n");
    expect((await accord(["retry", ...here()])).out).toBe("No row has failed.\n");
    const { out: json } = await accord(["process", "--json", ...here()]);
    expect(JSON.parse(json)).toMatchObject({ claimed: 0, remaining: 0, stopped: null });
  });

  it("refuse what does not exist by name", async () => {
    const { code, error } = await accord(["resync", "nowhere", ...here()]);
    expect(error).toContain('Table "nowhere" is not registered');
    expect(code).toBe(1);
    expect((await accord(["search", ...here()])).error).toBe("search needs <question>.\n");
  });
});

describe("accord and files", () => {
  beforeAll(async () => {
    await database.query(
      "select public.set_setting(name, '\"manual\"') from unnest('{files_wake,embedding_wake}'::text[]) as name",
    );
  });

  const files = () => connectClient(stack.url, SECRET_KEY).storage.from("documents");
  const upload = async (path: string, text: string) => {
    expect((await files().upload(path, new Blob([text], { type: "text/plain" }))).error).toBeNull();
  };

  it("read what was uploaded, embed it, and find it", async () => {
    await upload("camion.txt", "Le camion de livraison part à sept heures.");
    expect((await accord(["status", ...here()])).out).toMatch(/documents +1 +0 +0 +0 +\d+ s ago/);
    const { code, out } = await accord(["process", ...here()]);
    expect(out).toMatch(/^1 files are read: 0\.0 MB\. \d+\.\d s\.\n\d+ rows agree:/);
    expect(code).toBe(0);
    expect((await accord(["search", "camion de livraison", ...here()])).out).toContain("part à sept heures.");
    const { out: json } = await accord(["status", "--json", ...here()]);
    expect(JSON.parse(json)).toMatchObject({
      files: [{ bucket_id: "documents", readers: "owner", pending: 0, completed: 1, failed: 0 }],
    });
  });

  it("say what cannot be read, and try it again when they are asked to", async () => {
    await upload("empty.txt", "");
    const { code, out } = await accord(["process", ...here()]);
    expect(out).toContain("1 files failed; last_error in files_queue says why.");
    expect(code).toBe(2);
    expect((await accord(["process", "--json", ...here()])).out).toContain('"files": {');
    expect((await accord(["retry", "faq_items", ...here()])).out).toBe("No row has failed.\n");
    expect((await accord(["retry", "--bucket", "documents", ...here()])).out).toBe(
      "1 files are due again. npm run accord -- process takes them now.\n",
    );
    expect((await accord(["retry", "--bucket", "documents", ...here()])).out).toBe("No file has failed.\n");
    await accord(["process", ...here()]);
    expect((await accord(["retry", ...here()])).out).toBe(
      "1 files are due again. npm run accord -- process takes them now.\n",
    );
    await files().remove(["empty.txt", "camion.txt"]);
  });

  it.each([
    [["retry", "--bucket", "nowhere"], 'Bucket "nowhere" is not watched'],
    [["retry", "faq_items", "--bucket", "documents"], "retry takes a table or --bucket, not both."],
    [["status", "--bucket", "documents"], "status knows no --bucket."],
  ])("%j is refused in one line", async (args, said) => {
    const { code, error } = await accord([...args, ...here()]);
    expect(error).toContain(said);
    expect(error.trim().split("\n")).toHaveLength(1);
    expect(code).toBe(1);
  });
});

describe("accord profile", () => {
  it("has another profile built beside the active one, switches, goes back and retires it", async () => {
    const profile = (...args: string[]) => accord(["profile", ...args, ...here()]);
    const name = "lexical:words-1:1536:64/0";
    const prepared = await profile("prepare", "lexical", "--chunk-tokens", "64");
    expect(prepared.out).toContain(`${name} is being built, behind every edit.`);
    const tooEarly = await profile("activate", name);
    expect(tooEarly.error).toMatch(/Profile "lexical:words-1:1536:64\/0" lacks \d+ of \d+ rows/);
    expect(tooEarly.error).toContain("With force it is activated as it is.");
    expect(tooEarly.code).toBe(3);
    await accord(["process", ...here()]);
    expect((await profile()).out).toMatch(/lexical:words-1:1536:64\/0 +building +(\d+) of \1 +built/);
    expect((await profile("activate", name)).out).toBe(`Search uses ${name} from now on.\n`);
    expect((await accord(["search", "garer", "le", "camion", ...here()])).out).toContain("Où garer le camion ?");
    expect((await profile("retire", name)).error).toContain(`Profile "${name}" is the active one`);
    expect((await profile("rollback")).out).toBe("Search uses lexical:words-1:1536 from now on.\n");
    expect((await profile("retire", name)).out).toBe(`${name} and its embeddings are gone.\n`);
    expect((await profile("rollback")).error).toContain("There is no profile to go back to");
  });

  it.each([
    [["profile", "prepare"], "profile prepare needs a model."],
    [
      ["profile", "prepare", "openai:text-embedding-3-small:many"],
      'the dimensions must be a whole number, not "many".',
    ],
    [["profile", "prepare", "lexical:other"], 'ACCORD_MODEL is "other"'],
    [["profile", "prepare", "lexical", "--chunk-tokens", "4"], "chunkTokens: must be at least 16, not 4"],
    [["profile", "prepare", "lexical", "--overlap", "200"], "chunkOverlap: must be less than half of chunkTokens"],
    [["profile", "prepare", "lexical", "--template", "{headings}"], "template"],
    [["profile", "prepare", "lexical", "--template", "{subtitle} {chunk}"], "names {subtitle}, which is no column of"],
    [["profile", "activate", "nothing"], 'There is no profile "nothing"'],
    [["profile", "explode"], "profile knows list, prepare, activate, rollback and retire, not"],
    [["status", "--force"], "status knows no --force."],
  ])("%j is refused in one line", async (args, said) => {
    const { code, error } = await accord([...args, ...here()]);
    expect(error).toContain(said);
    expect(error.trim().split("\n")).toHaveLength(1);
    expect(code).toBe(1);
  });
});

describe("accord refuses", () => {
  it.each([
    [
      ["frobnicate"],
      'There is no command "frobnicate"; there are status, process, verify, resync, retry, coherence, profile, search, doctor.',
    ],
    [["doctor", "please"], 'doctor takes no "please".'],
    [["doctor", "--verbos"], "Unknown option '--verbos'. See npm run accord -- --help."],
    [["doctor", "--url", "nowhere"], '"nowhere" is not the URL of a project; it looks like https://'],
    [["doctor", "--url", "https://example.supabase.co"], "https://example.supabase.co needs a key: put a secret key"],
    [
      ["doctor", "--url", "http://127.0.0.1:9"],
      "http://127.0.0.1:9 does not answer (bad port). Start the stack with npm start",
    ],
  ])("%j in one line, with exit code 1", async (args, said) => {
    const { code, out, error } = await accord(args);
    expect(error).toContain(said);
    expect(error.trim().split("\n")).toHaveLength(1);
    expect(out).toBe("");
    expect(code).toBe(1);
  });

  it("a wrong key without repeating it", async () => {
    const { code, error } = await accord(["doctor", ...here()], { SUPABASE_SECRET_KEY: "sb_secret_wrong" });
    expect(error).toContain("401 Invalid API key. Check SUPABASE_SECRET_KEY.");
    expect(error).not.toContain("sb_secret_wrong");
    expect(code).toBe(1);
  });

  it("as JSON when JSON was asked for", async () => {
    const { code, out } = await accord(["nothing", "--json"]);
    expect(JSON.parse(out)).toMatchObject({
      error: {
        message:
          'There is no command "nothing"; there are status, process, verify, resync, retry, coherence, profile, search, doctor.',
      },
    });
    expect(code).toBe(1);
  });
});

it("the stack embeds the demo content when it starts, says how long that took, and answers a first question", async () => {
  await expect.poll(() => stack.output(), { timeout: 30_000 }).toMatch(
    /Embedded 24 rows in \d+ ms\. Asked: “.+”\n {2}0\.\d\d {2}À quelle fréquence/,
  );
});

it("looks by default for the very stack that npm start starts", () => {
  const options = readOptions([]);
  expect(options === "help" ? "" : `http://127.0.0.1:${options.port}`).toBe(LOCAL_URL);
  expect(LOCAL_SECRET_KEY).toBe(SECRET_KEY);
});
