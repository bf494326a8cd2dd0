import { createClient, type SupabaseClient } from "@supabase/supabase-js";

/** Node 20 has no WebSocket of its own, and supabase-js wants one even where nobody listens. */
class NoSocket {
  constructor() {
    throw new Error("These suites open no realtime channel.");
  }
}

export const noRealtime = {
  auth: { persistSession: false, autoRefreshToken: false },
  realtime: { transport: NoSocket as unknown as typeof WebSocket },
};

/** supabase-js as a server would use it. */
export function connectClient(url: string, key: string): SupabaseClient {
  return createClient(url, key, noRealtime);
}
