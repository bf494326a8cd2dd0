import { readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";

const Faq = z.object({
  name: z.string(),
  language: z.string(),
  documents: z.array(z.object({ id: z.string(), title: z.string(), body: z.string() })),
  queries: z.array(z.object({ text: z.string(), relevant: z.array(z.string()) })),
});

/** Questions as people ask them, with the entries that answer them. */
export type Faq = z.infer<typeof Faq>;

/** One FAQ from a file, or all that a folder holds. */
export function readFaqs(path: string): Faq[] {
  const files = statSync(path).isDirectory()
    ? readdirSync(path).filter((name) => /^faq-.*\.json$/.test(name)).map((name) => join(path, name))
    : [path];
  return files.map((file) => Faq.parse(JSON.parse(readFileSync(file, "utf8"))));
}
