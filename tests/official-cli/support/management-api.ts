import { Buffer } from "node:buffer";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type IncomingMessage } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { onTestFinished } from "vitest";

export interface Deployment {
  slug: string;
  token: string | undefined;
  metadata: Record<string, unknown>;
  /** Content by path, as the platform would bundle it. */
  files: Map<string, string>;
}

export interface ManagementApi {
  /** A profile of the official CLI: whose API it talks to. */
  profile: string;
  deployments: Deployment[];
  /** Requests that the stand-in has no answer for. */
  unexpected: string[];
}

/** As much of the platform's management API as a deployment needs; it lives as long as the test. */
export async function standInForTheManagementApi(): Promise<ManagementApi> {
  const deployments: Deployment[] = [];
  const unexpected: string[] = [];
  const server = createServer(async (request, response) => {
    const { pathname, searchParams } = new URL(request.url ?? "/", "http://127.0.0.1");
    const isDeployment = request.method === "POST" && /^\/v1\/projects\/[a-z]{20}\/functions\/deploy$/.test(pathname);
    if (isDeployment) deployments.push(await readDeployment(request, searchParams.get("slug") ?? ""));
    else if (request.method !== "GET") unexpected.push(`${request.method} ${request.url}`);
    response.writeHead(isDeployment ? 201 : 200, { "content-type": "application/json" });
    response.end(JSON.stringify(isDeployment ? functionNamed(searchParams.get("slug") ?? "") : []));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const folder = mkdtempSync(join(tmpdir(), "accord-profile-"));
  onTestFinished(async () => {
    rmSync(folder, { recursive: true });
    server.closeAllConnections();
    await new Promise<void>((resolve) => server.close(() => resolve()));
  });
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const profile = join(folder, "profile.yaml");
  writeFileSync(profile, `name: stand-in\napi_url: ${url}\ndashboard_url: ${url}\nproject_host: supabase.co\n`);
  return { profile, deployments, unexpected };
}

async function readDeployment(request: IncomingMessage, slug: string): Promise<Deployment> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk);
  const headers = { "content-type": request.headers["content-type"] ?? "" };
  const form = await new Response(Buffer.concat(chunks), { headers }).formData();
  const files = new Map<string, string>();
  for (const part of form.getAll("file")) if (part instanceof File) files.set(part.name, await part.text());
  return {
    slug,
    token: request.headers.authorization,
    metadata: JSON.parse(await textOf(form.get("metadata"))),
    files,
  };
}

async function textOf(part: FormDataEntryValue | null): Promise<string> {
  return part instanceof File ? await part.text() : part ?? "null";
}

function functionNamed(slug: string): Record<string, unknown> {
  const now = Date.now();
  return {
    id: "00000000-0000-4000-8000-000000000000",
    slug,
    name: slug,
    status: "ACTIVE",
    version: 1,
    created_at: now,
    updated_at: now,
  };
}
