import { describe, expect, it } from "vitest";
import {
  chooseEmbedder,
  embedderOfProfile,
  type EmbedderSettings,
} from "../../../shared/embeddings/choose-embedder.ts";

const onSupabase = { fetch, gteSmall: () => Promise.resolve(new Float32Array(384)) };
const elsewhere = { fetch };
const apiKey = "sk-0123";
const nameOf = (settings: EmbedderSettings, ports = elsewhere) => chooseEmbedder(settings, ports).profile.name;

describe("the embedder", () => {
  it("is OpenAI's where there is a key, else Supabase's where there is Supabase, else the lexical one", () => {
    expect(nameOf({ apiKey }, onSupabase)).toBe("openai:text-embedding-3-small:1536");
    expect(nameOf({}, onSupabase)).toBe("gte-small:gte-small:384");
    expect(nameOf({})).toBe("lexical:words-1:1536");
  });

  it("is another one where the settings say so", () => {
    expect(nameOf({ embedder: "lexical", apiKey }, onSupabase)).toBe("lexical:words-1:1536");
    expect(nameOf({ embedder: "gte-small", apiKey }, onSupabase)).toBe("gte-small:gte-small:384");
    expect(nameOf({ embedder: "openai", apiKey })).toBe("openai:text-embedding-3-small:1536");
  });

  it("has the dimensions of its model, or as many as are asked for", () => {
    expect(nameOf({ apiKey, model: "text-embedding-3-large" })).toBe("openai:text-embedding-3-large:3072");
    expect(nameOf({ apiKey, model: "text-embedding-3-large", dimensions: "1024" })).toBe(
      "openai:text-embedding-3-large:1024",
    );
    const local = { apiKey, baseUrl: "http://127.0.0.1:11434/v1", model: "nomic-embed-text", dimensions: "768" };
    expect(nameOf(local)).toBe("openai:nomic-embed-text:768");
  });

  it("takes an empty setting for none, and no notice of blanks around one", () => {
    expect(nameOf({ apiKey: "", embedder: " ", model: "", dimensions: "", baseUrl: "" })).toBe("lexical:words-1:1536");
    expect(nameOf({ apiKey: ` ${apiKey}\n`, embedder: "openai ", dimensions: " 512" })).toBe(
      "openai:text-embedding-3-small:512",
    );
  });
});

describe("settings that cannot be met", () => {
  it.each<[EmbedderSettings, string]>([
    [{ embedder: "cohere" }, 'ACCORD_EMBEDDER is "cohere"; there are openai, gte-small, lexical.'],
    [{ embedder: "openai" }, "OPENAI_API_KEY is not set"],
    [{ embedder: "gte-small" }, "Set OPENAI_API_KEY, or ACCORD_EMBEDDER to lexical."],
    [{ apiKey: "sk-été" }, "OPENAI_API_KEY holds a space, a line break or a letter that no key has."],
    [{ apiKey: "sk-0123\nsk-4567" }, "OPENAI_API_KEY holds a space, a line break"],
    [{ apiKey, baseUrl: "api.openai.com/v1" }, 'OPENAI_BASE_URL is "api.openai.com/v1"'],
    [{ apiKey, baseUrl: "file:///etc" }, 'OPENAI_BASE_URL is "file:///etc"'],
    [{ apiKey, model: "nomic-embed-text" }, 'ACCORD_MODEL is "nomic-embed-text", whose dimensions are not known here.'],
    [
      { apiKey, dimensions: "many" },
      'ACCORD_DIMENSIONS is "many"; for text-embedding-3-small it must be a whole number',
    ],
    [{ apiKey, dimensions: "0" }, 'ACCORD_DIMENSIONS is "0"'],
    [{ apiKey, dimensions: "12.5" }, 'ACCORD_DIMENSIONS is "12.5"'],
    [{ apiKey, dimensions: "1537" }, "a whole number from 1 to 1536"],
    [{ apiKey, model: "text-embedding-3-large", dimensions: "3073" }, "a whole number from 1 to 3072"],
    [
      { apiKey, model: "text-embedding-ada-002", dimensions: "512" },
      "for text-embedding-ada-002 it must be exactly 1536",
    ],
    [{ apiKey, model: "elsewhere", dimensions: "4001" }, "a whole number from 1 to 4000"],
    [{ model: "text-embedding-3-large" }, 'ACCORD_MODEL is "text-embedding-3-large", but there is no OPENAI_API_KEY.'],
    [{ dimensions: "512" }, "the embedder is lexical (there is no OPENAI_API_KEY) and has 1536"],
    [{ embedder: "lexical", apiKey, dimensions: "512" }, 'ACCORD_EMBEDDER is "lexical"'],
  ])("are refused with the value and the way out: %j", (settings, message) => {
    expect(() => chooseEmbedder(settings, elsewhere)).toThrow(
      expect.objectContaining({ code: "misconfigured", message: expect.stringContaining(message) as string }),
    );
  });

  it("never show the key", () => {
    expect(() => chooseEmbedder({ apiKey: "sk-sécret", embedder: "openai" }, elsewhere)).toThrow(
      expect.not.objectContaining({ message: expect.stringContaining("cret") as string }),
    );
  });
});

describe("the embedder of a profile", () => {
  const other = { embedder: "lexical", model: "another", dimensions: "7", apiKey };

  it("is the profile's own, whatever the environment asks for", () => {
    const wanted = { provider: "openai", model: "text-embedding-3-small", dimensions: 512 };
    expect(embedderOfProfile(wanted, other, elsewhere).profile.name).toBe("openai:text-embedding-3-small:512");
    expect(embedderOfProfile({ provider: "lexical" }, other, onSupabase).profile.name).toBe("lexical:words-1:1536");
    expect(embedderOfProfile({ provider: "gte-small" }, other, onSupabase).profile.name).toBe(
      "gte-small:gte-small:384",
    );
  });

  it("has its model's dimensions where the profile does not say", () => {
    expect(embedderOfProfile({ provider: "openai" }, { apiKey }, elsewhere).profile.name).toBe(
      "openai:text-embedding-3-small:1536",
    );
  });

  it("asks with the environment's key and at its address", async () => {
    const asked: { url: string; key: string | null }[] = [];
    const refuse: typeof fetch = (url, init) => {
      asked.push({ url: String(url), key: new Headers(init?.headers).get("authorization") });
      return Promise.resolve(new Response("{}", { status: 503 }));
    };
    const settings = { apiKey: ` ${apiKey}\n`, baseUrl: "http://127.0.0.1:9/v1" };
    const embedder = embedderOfProfile({ provider: "openai", model: "mine", dimensions: 8 }, settings, {
      fetch: refuse,
    });
    await expect(embedder.embed(["text"])).rejects.toMatchObject({ code: "unavailable" });
    expect(asked).toEqual([{ url: "http://127.0.0.1:9/v1/embeddings", key: `Bearer ${apiKey}` }]);
  });

  it.each([
    [{ provider: "openai", model: "text-embedding-3-small", dimensions: 512 }, "OPENAI_API_KEY is not set"],
    [{ provider: "gte-small", model: "gte-small", dimensions: 384 }, "Supabase's own runtime"],
    [{ provider: "cohere", model: "x", dimensions: 8 }, '"cohere"'],
  ])("is an error with the way out where the environment cannot make it: %j", (wanted, message) => {
    expect(() => embedderOfProfile(wanted, {}, elsewhere)).toThrow(
      expect.objectContaining({ code: "misconfigured", message: expect.stringContaining(message) as string }),
    );
  });
});
