import pg from "pg";

/** A connection of its own for one task. When it breaks, the query under way says so; `pg` must not end the process. */
export async function connect(url: string, name: string, options: pg.ClientConfig = {}): Promise<pg.Client> {
  const client = new pg.Client({ connectionString: url, application_name: name, ...options });
  client.on("error", () => {});
  await client.connect();
  return client;
}
