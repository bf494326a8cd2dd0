import { describe, expect, it } from "vitest";
import { lexicalEmbedder } from "../../../../shared/embeddings/embedders/lexical.ts";

const embedder = lexicalEmbedder();

async function likeness(question: string, content: string): Promise<number> {
  const { vector } = await embedder.embedQuery(question);
  const { vectors: [other] } = await embedder.embed([content]);
  return vector.reduce((sum, number, i) => sum + number * (other?.[i] ?? 0), 0);
}

describe("the lexical embedder", () => {
  it("gives vectors of length 1 and of 1,536 numbers, the same for the same text, and costs nothing", async () => {
    const { vectors, ...usage } = await embedder.embed(["Where is my invoice?", "Where is my invoice?"]);
    expect(vectors[0]).toHaveLength(1536);
    expect(vectors[0]?.reduce((sum, number) => sum + number * number, 0)).toBeCloseTo(1, 5);
    expect(vectors[0]).toEqual(vectors[1]);
    expect(usage).toEqual({ requests: 1, tokens: 0, costUsd: 0 });
    expect(embedder.profile).toMatchObject({ provider: "lexical", dimensions: 1536 });
  });

  it("gives the very vector that it gave before: another one needs another profile", async () => {
    const { vectors: [vector] } = await embedder.embed(["Où est ma facture ?\nDans l'espace client."]);
    const strongest = [...vector?.entries() ?? []].sort(([, a], [, b]) => Math.abs(b) - Math.abs(a)).slice(0, 3);
    expect(embedder.profile.name).toBe("lexical:words-1:1536");
    expect(strongest.map(([place, number]) => [place, Number(number.toFixed(4))])).toEqual([[101, 0.5], [683, 0.3536], [
      873,
      -0.3536,
    ]]);
  });

  it("finds a word in another form", async () => {
    expect(await likeness("factures", "Ma facture est fausse")).toBeGreaterThan(0.3);
    expect(await likeness("deleting accounts", "Delete an account")).toBeGreaterThan(0.5);
    expect(await likeness("remboursement", "Être remboursé")).toBeGreaterThan(0.4);
  });

  it("reads over accents, case, elisions and the words of grammar", async () => {
    expect(await likeness("ete a l'ecole", "L’été à l'École")).toBeCloseTo(1, 5);
    expect(await likeness("qu'est-ce que c'est que l'œuvre", "OEUVRE")).toBeCloseTo(1, 5);
    expect(await likeness("what is the invoice", "invoices and how")).toBeGreaterThan(0.6);
  });

  it("finds nothing alike in texts without a word in common", async () => {
    expect(Math.abs(await likeness("cancel my subscription", "La livraison prend trois jours"))).toBeLessThan(0.1);
  });

  it("takes the first line of a content for as much as all that follows", async () => {
    const body = "Orders leave the warehouse on the next working day and travel with the carrier of your choice. "
      .repeat(5);
    const heading = await likeness("opening hours", `Opening hours\n\n${body}`);
    const buried = await likeness("opening hours", `${body} Opening hours`);
    expect(heading).toBeGreaterThan(2 * buried);
  });

  it.each(["of the", "?!", "🦥", "c'est ça", "数据库", "x"])("has a vector even for %s", async (text) => {
    expect(await likeness(text, text)).toBeCloseTo(1, 5);
  });

  it("refuses a blank text, as other embedders do", async () => {
    await expect(embedder.embed(["fine", " \n"])).rejects.toMatchObject({ code: "input_rejected", scope: "input" });
    await expect(embedder.embedQuery("")).rejects.toMatchObject({ code: "input_rejected" });
  });

  it("stops when it is told to", async () => {
    const signal = AbortSignal.abort(new Error("too late"));
    await expect(embedder.embed(["one"], { signal })).rejects.toThrow("too late");
  });
});
