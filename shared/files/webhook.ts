import { z } from "zod";
import type { Rpc } from "../platform/rpc.ts";
import { drainFiles, type FilesDrainPorts } from "./drain.ts";

const given = (input: unknown) => (JSON.stringify(input) ?? "nothing").slice(0, 100);

/** What the database could not even be asked for: half of a surrogate pair, or a zero byte. */
const UNSTORABLE = /[\p{Cs}\0]/u;

const Name = z.string({ error: ({ input }) => `must be a text, not ${given(input)}` })
  .min(1, "must not be empty")
  .max(2_000, "must have at most 2000 characters")
  .refine((name) => !UNSTORABLE.test(name), { error: ({ input }) => `is no name of anything: ${given(input)}` });

/** As much of a row of storage.objects as is believed: which object it is about. */
const ObjectRow = z.object({ bucket_id: Name, name: Name }, {
  error: ({ input, code }) => code === "invalid_type" ? `must be a row, not ${given(input)}` : undefined,
});

const Table = { schema: z.literal("storage"), table: z.literal("objects") };

/** The body of a Database Webhook for storage.objects. */
export const StorageEvent = z.discriminatedUnion("type", [
  z.object({ type: z.literal("INSERT"), ...Table, record: ObjectRow }),
  z.object({ type: z.literal("UPDATE"), ...Table, record: ObjectRow, old_record: ObjectRow }),
  z.object({ type: z.literal("DELETE"), ...Table, old_record: ObjectRow }),
]);

export type StorageEvent = z.output<typeof StorageEvent>;

const Count = z.number();

/**
 * Has the objects that an event is about looked at as they are now, whatever the event says of them: deliveries may come
 * twice, late, in any order, or from somebody who made them up. Then does what waits.
 */
export async function follow(
  event: StorageEvent,
  { rpc, ...ports }: FilesDrainPorts & { rpc: Rpc },
): Promise<{ queued: number; processed: number }> {
  const queued = Count.parse(await rpc("sync_storage_objects", { objects: objectsOf(event) }));
  const { completed } = await drainFiles(ports);
  return { queued, processed: completed };
}

/** A move is about two. */
function objectsOf(event: StorageEvent): { bucket: string; name: string }[] {
  const rows = [
    ..."old_record" in event ? [event.old_record] : [],
    ..."record" in event ? [event.record] : [],
  ];
  return rows.map(({ bucket_id, name }) => ({ bucket: bucket_id, name }))
    .filter(({ bucket, name }, place, all) =>
      place === all.findIndex((other) => other.bucket === bucket && other.name === name)
    );
}
