import { mediaTypeRefused } from "./errors.ts";

/** The forms in which rows are answered. */
export interface MediaType {
  form: "array" | "object" | "csv";
  withoutNulls: boolean;
  contentType: string;
}

const JSON_ARRAY: MediaType = {
  form: "array",
  withoutNulls: false,
  contentType: "application/json; charset=utf-8",
};

const CSV: MediaType = { form: "csv", withoutNulls: false, contentType: "text/csv; charset=utf-8" };

/** The first of the accepted media types, best loved first, in which rows can be answered. */
export function negotiate(accept: string | null): MediaType {
  const accepted = byPreference(accept ?? "*/*");
  for (const type of accepted) {
    const found = mediaTypeOf(type);
    if (found !== undefined) return found;
  }
  throw mediaTypeRefused(accepted);
}

function mediaTypeOf(accepted: string): MediaType | undefined {
  const [type, ...parameters] = accepted.toLowerCase().split(";").map((part) => part.trim());
  const withoutNulls = parameters.includes("nulls=stripped");
  const suffix = withoutNulls ? ";nulls=stripped" : "";
  switch (type) {
    case "*/*":
    case "application/*":
    case "application/json":
      return JSON_ARRAY;
    case "text/csv":
      return CSV;
    case "application/vnd.pgrst.array":
    case "application/vnd.pgrst.array+json":
      if (!withoutNulls) return JSON_ARRAY;
      return {
        form: "array",
        withoutNulls,
        contentType: `application/vnd.pgrst.array+json${suffix}; charset=utf-8`,
      };
    case "application/vnd.pgrst.object":
    case "application/vnd.pgrst.object+json":
      return {
        form: "object",
        withoutNulls,
        contentType: `application/vnd.pgrst.object+json${suffix}; charset=utf-8`,
      };
    default:
      return undefined;
  }
}

function byPreference(accept: string): string[] {
  const types = accept.split(",").map((text) => {
    const quality = /;\s*q=([\d.]+)/.exec(text)?.[1];
    return { type: text.replace(/;\s*q=[\d.]+/, "").trim(), quality: quality === undefined ? 1 : Number(quality) };
  });
  return types.toSorted((one, other) => other.quality - one.quality).map(({ type }) => type);
}
