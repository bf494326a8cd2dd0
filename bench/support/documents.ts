import { deflateSync } from "node:zlib";
import { wordFileOf, wordParagraph } from "../../tests/shared/files/extract/support/archive.ts";

const WORDS =
  ("le la les une des dans pour avec sur instrument document archive règlement séance conseil budget chapitre " +
    "présent accord délai demande réponse bibliothèque lecteur ouvrage conservation signature année œuvre être même déjà")
    .split(" ");
const LINES_OF_PAGE = 42;
const WORDS_OF_LINE = 11;
const LINES_OF_PARAGRAPH = 6;

/** The text of a page as lines, different for each page and the same in each run. */
function linesOf(page: number): string[] {
  return Array.from({ length: LINES_OF_PAGE }, (_, line) => {
    const words = Array.from(
      { length: WORDS_OF_LINE },
      (_, at) => WORDS[(page * 31 + line * 17 + at * (7 + (line % 5))) % WORDS.length] ?? "",
    );
    return `${words.join(" ")}${line % LINES_OF_PARAGRAPH === LINES_OF_PARAGRAPH - 1 ? "." : ""}`;
  });
}

function paragraphsOf(page: number): string[] {
  const lines = linesOf(page);
  return Array.from(
    { length: LINES_OF_PAGE / LINES_OF_PARAGRAPH },
    (_, at) => lines.slice(at * LINES_OF_PARAGRAPH, (at + 1) * LINES_OF_PARAGRAPH).join(" "),
  );
}

const pagesFrom = (count: number) => Array.from({ length: count }, (_, index) => index + 1);

/** Documents of so many printed pages, about 3,000 characters each, in every format that is read. */
export const DOCUMENTS: Record<string, { name: string; mimeType: string; make(pages: number): Uint8Array }> = {
  pdf: { name: "a.pdf", mimeType: "application/pdf", make: pdf },
  docx: {
    name: "a.docx",
    mimeType: "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    make: (pages) =>
      wordFileOf(
        pagesFrom(pages).flatMap((page) => [
          wordParagraph(`Chapitre ${page}`, "Heading1"),
          ...paragraphsOf(page).map((text) => wordParagraph(text)),
        ]).join(""),
      ),
  },
  html: {
    name: "a.html",
    mimeType: "text/html",
    make: (pages) =>
      utf8(
        `<!doctype html><html lang="fr"><title>Banc</title><nav>Menu</nav><main>${
          pagesFrom(pages).map((page) =>
            `<h2>Chapitre ${page}</h2>${paragraphsOf(page).map((text) => `<p class="texte">${text}</p>`).join("\n")}`
          ).join("\n")
        }</main>`,
      ),
  },
  markdown: {
    name: "a.md",
    mimeType: "text/markdown",
    make: (pages) =>
      utf8(pagesFrom(pages).map((page) => `## ${page}\n\n${paragraphsOf(page).join("\n\n")}`).join("\n\n")),
  },
  text: {
    name: "a.txt",
    mimeType: "text/plain",
    // Windows-1252, as far as letters go: each is one byte.
    make: (pages) =>
      Uint8Array.from(
        pagesFrom(pages).map((page) => linesOf(page).join("\r\n")).join("\r\n\r\n").replaceAll("œ", "oe"),
        (letter) => letter.charCodeAt(0),
      ),
  },
  csv: {
    name: "a.csv",
    mimeType: "text/csv",
    make: (pages) =>
      utf8(
        `page;ligne;texte\n${
          pagesFrom(pages).flatMap((page) => linesOf(page).map((line, at) => `${page};${at};"${line}"`)).join("\n")
        }`,
      ),
  },
  json: {
    name: "a.json",
    mimeType: "application/json",
    make: (pages) =>
      utf8(JSON.stringify({
        titre: "Banc",
        articles: pagesFrom(pages).map((page) => ({
          num: `${page}`,
          content: paragraphsOf(page).map((text) => `<p>${text}</p>`).join(""),
        })),
      })),
  },
};

function utf8(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}

/** Of the fonts that every reader has, each page a compressed stream of lines, as an office program writes it. */
function pdf(pages: number): Uint8Array {
  const font = "<< /Type /Font /Subtype /Type1 /BaseFont /Times-Roman /Encoding /WinAnsiEncoding >>";
  const kids = pagesFrom(pages).map((page) => `${2 + 2 * page} 0 R`).join(" ");
  const objects: (string | Buffer)[] = [
    "<< /Type /Catalog /Pages 2 0 R /Lang (fr-FR) >>",
    `<< /Type /Pages /Kids [${kids}] /Count ${pages} >>`,
    font,
  ];
  for (const page of pagesFrom(pages)) {
    const lines = linesOf(page).map((line) => `(${line.replaceAll("œ", "oe")}) Tj T*`).join("\n");
    const stream = deflateSync(Buffer.from(`BT /F1 11 Tf 14 TL 60 780 Td\n${lines}\nET`, "latin1"));
    objects.push(
      `<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents ${3 + 2 * page} 0 R ` +
        "/Resources << /Font << /F1 3 0 R >> >> >>",
      Buffer.concat([
        Buffer.from(`<< /Filter /FlateDecode /Length ${stream.length} >>\nstream\n`),
        stream,
        Buffer.from("\nendstream"),
      ]),
    );
  }
  return withTable(objects);
}

function withTable(objects: (string | Buffer)[]): Uint8Array {
  const parts = [Buffer.from("%PDF-1.7\n")];
  let at = parts[0]?.length ?? 0;
  const offsets = objects.map((object, index) => {
    const part = Buffer.concat([Buffer.from(`${index + 1} 0 obj\n`), Buffer.from(object), Buffer.from("\nendobj\n")]);
    parts.push(part);
    at += part.length;
    return `${at - part.length}`.padStart(10, "0");
  });
  const rows = offsets.map((offset) => `${offset} 00000 n \n`).join("");
  parts.push(Buffer.from(
    `xref\n0 ${objects.length + 1}\n0000000000 65535 f \n${rows}` +
      `trailer\n<< /Size ${objects.length + 1} /Root 1 0 R >>\nstartxref\n${at}\n%%EOF\n`,
  ));
  return new Uint8Array(Buffer.concat(parts));
}
