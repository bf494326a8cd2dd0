// Made by `npm run types` from the migrations; not edited by hand.

export type Json = string | number | boolean | null | { [key: string]: Json | undefined } | Json[];

export type Database = {
  "public": {
    Tables: {
      "alerts": {
        Row: {
          "count": number;
          "first_seen_at": string;
          "id": number;
          "kind": string;
          "last_seen_at": string;
          "message": string;
          "resolved_at": string | null;
          "subject": string;
        };
        ComputedFields: never;
        Insert: {
          "count"?: number;
          "first_seen_at"?: string;
          "id"?: never;
          "kind": string;
          "last_seen_at"?: string;
          "message": string;
          "resolved_at"?: string | null;
          "subject"?: string;
        };
        Update: {
          "count"?: number;
          "first_seen_at"?: string;
          "id"?: never;
          "kind"?: string;
          "last_seen_at"?: string;
          "message"?: string;
          "resolved_at"?: string | null;
          "subject"?: string;
        };
        Relationships: [];
      };
      "documentation_embeddings": {
        Row: {
          "chunk_index": number;
          "content": string;
          "content_hash": string;
          "embedding": unknown;
          "metadata": NonNullable<Json>;
          "profile": string;
          "source_id": string;
          "source_table": string;
          "token_count": number;
          "updated_at": string;
        };
        ComputedFields: never;
        Insert: {
          "chunk_index": number;
          "content": string;
          "content_hash": string;
          "embedding": unknown;
          "metadata"?: NonNullable<Json>;
          "profile": string;
          "source_id": string;
          "source_table": string;
          "token_count": number;
          "updated_at"?: string;
        };
        Update: {
          "chunk_index"?: number;
          "content"?: string;
          "content_hash"?: string;
          "embedding"?: unknown;
          "metadata"?: NonNullable<Json>;
          "profile"?: string;
          "source_id"?: string;
          "source_table"?: string;
          "token_count"?: number;
          "updated_at"?: string;
        };
        Relationships: [
          {
            foreignKeyName: "documentation_embeddings_source_table_fkey";
            columns: ["source_table"];
            isOneToOne: false;
            referencedRelation: "embedding_sync_status";
            referencedColumns: ["source_table"];
          },
        ];
      };
      "documents": {
        Row: {
          "bucket_id": string | null;
          "client_id": string | null;
          "content": string;
          "created_at": string;
          "file_path": string | null;
          "id": string;
          "is_published": boolean;
          "locale": string;
          "metadata": NonNullable<Json>;
          "mime_type": string | null;
          "owner_id": string | null;
          "title": string;
          "updated_at": string;
        };
        ComputedFields: never;
        Insert: {
          "bucket_id"?: string | null;
          "client_id"?: string | null;
          "content"?: string;
          "created_at"?: string;
          "file_path"?: string | null;
          "id"?: string;
          "is_published"?: boolean;
          "locale"?: string;
          "metadata"?: NonNullable<Json>;
          "mime_type"?: string | null;
          "owner_id"?: string | null;
          "title"?: string;
          "updated_at"?: string;
        };
        Update: {
          "bucket_id"?: string | null;
          "client_id"?: string | null;
          "content"?: string;
          "created_at"?: string;
          "file_path"?: string | null;
          "id"?: string;
          "is_published"?: boolean;
          "locale"?: string;
          "metadata"?: NonNullable<Json>;
          "mime_type"?: string | null;
          "owner_id"?: string | null;
          "title"?: string;
          "updated_at"?: string;
        };
        Relationships: [];
      };
      "embedding_sync_queue": {
        Row: {
          "action": string;
          "content": string | null;
          "created_at": string;
          "failed_at": string | null;
          "last_error": string | null;
          "lease_token": string | null;
          "leased_revision": number | null;
          "processed_at": string | null;
          "retry_count": number;
          "revision": number;
          "source_id": string;
          "source_table": string;
          "status": string;
          "visible_at": string;
        };
        ComputedFields: never;
        Insert: {
          "action"?: string;
          "content"?: string | null;
          "created_at"?: string;
          "failed_at"?: string | null;
          "last_error"?: string | null;
          "lease_token"?: string | null;
          "leased_revision"?: number | null;
          "processed_at"?: string | null;
          "retry_count"?: number;
          "revision"?: number;
          "source_id": string;
          "source_table": string;
          "status"?: string;
          "visible_at"?: string;
        };
        Update: {
          "action"?: string;
          "content"?: string | null;
          "created_at"?: string;
          "failed_at"?: string | null;
          "last_error"?: string | null;
          "lease_token"?: string | null;
          "leased_revision"?: number | null;
          "processed_at"?: string | null;
          "retry_count"?: number;
          "revision"?: number;
          "source_id"?: string;
          "source_table"?: string;
          "status"?: string;
          "visible_at"?: string;
        };
        Relationships: [];
      };
      "faq_items": {
        Row: {
          "answer": string;
          "category": string | null;
          "created_at": string;
          "id": string;
          "is_published": boolean;
          "locale": string;
          "question": string;
          "updated_at": string;
        };
        ComputedFields: never;
        Insert: {
          "answer"?: string;
          "category"?: string | null;
          "created_at"?: string;
          "id"?: string;
          "is_published"?: boolean;
          "locale"?: string;
          "question": string;
          "updated_at"?: string;
        };
        Update: {
          "answer"?: string;
          "category"?: string | null;
          "created_at"?: string;
          "id"?: string;
          "is_published"?: boolean;
          "locale"?: string;
          "question"?: string;
          "updated_at"?: string;
        };
        Relationships: [];
      };
    };
    Views: {
      "embedding_sync_status": {
        Row: {
          "completed": number | null;
          "eta": string | null;
          "failed": number | null;
          "oldest_pending": string | null;
          "pending": number | null;
          "processing": number | null;
          "rate": number | null;
          "source_table": string;
        };
        ComputedFields: never;
        Relationships: [];
      };
    };
    Functions: {
      "claim_embedding_jobs": {
        Args: { "batch_size": number; "dimensions": number; "profile": string };
        Returns: (string)[];
      };
      "clean_up_embedding_queue": { Args: Record<PropertyKey, never>; Returns: number };
      "due_embedding_jobs": { Args: Record<PropertyKey, never>; Returns: number };
      "enqueue_embedding": {
        Args: { "content"?: string; "source_id": string; "source_table": string };
        Returns: undefined;
      };
      "fail_embedding_jobs": { Args: { "failures": Json }; Returns: Json };
      "finish_embedding_jobs": { Args: { "profile": string; "results": Json }; Returns: Json };
      "get_settings": { Args: Record<PropertyKey, never>; Returns: Json };
      "health_checks": { Args: { "key_fingerprints"?: Json }; Returns: Json };
      "is_admin": { Args: Record<PropertyKey, never>; Returns: boolean };
      "read_embedding_jobs": { Args: { "profile": string; "tokens": (string)[] }; Returns: Json };
      "register_embedding_source": {
        Args: { "content": string; "published"?: string; "source": unknown };
        Returns: Json;
      };
      "release_embedding_jobs": { Args: { "delay_seconds"?: number; "tokens": (string)[] }; Returns: number };
      "resync_embeddings": { Args: { "source_table"?: string }; Returns: number };
      "retry_failed_embeddings": { Args: { "source_table"?: string }; Returns: number };
      "search_documentation": {
        Args: { "match_count"?: number; "profile": string; "query_embedding": string; "sources"?: (string)[] };
        Returns: Json;
      };
      "set_setting": { Args: { "name": string; "value": Json }; Returns: Json };
      "stuck_embedding_jobs": {
        Args: Record<PropertyKey, never>;
        Returns: {
          "last_error": string;
          "problem": string;
          "retry_count": number;
          "since": string;
          "source_id": string;
          "source_table": string;
          "status": string;
        }[];
      };
      "system_status": { Args: Record<PropertyKey, never>; Returns: Json };
      "unregister_embedding_source": { Args: { "source": unknown }; Returns: undefined };
      "wake_embedding_worker": { Args: Record<PropertyKey, never>; Returns: number };
    };
    Enums: {
      [_ in never]: never;
    };
    CompositeTypes: {
      [_ in never]: never;
    };
  };
};

type DatabaseWithoutInternals = Omit<Database, "__InternalSupabase">;

type DefaultSchema = DatabaseWithoutInternals[Extract<keyof Database, "public">];

export type Tables<
  DefaultSchemaTableNameOrOptions extends
    | keyof (DefaultSchema["Tables"] & DefaultSchema["Views"])
    | { schema: keyof DatabaseWithoutInternals },
  TableName extends DefaultSchemaTableNameOrOptions extends {
    schema: keyof DatabaseWithoutInternals;
  } ? keyof (
      & DatabaseWithoutInternals[DefaultSchemaTableNameOrOptions["schema"]]["Tables"]
      & DatabaseWithoutInternals[DefaultSchemaTableNameOrOptions["schema"]]["Views"]
    )
    : never = never,
> = DefaultSchemaTableNameOrOptions extends { schema: keyof DatabaseWithoutInternals } ? (
    & DatabaseWithoutInternals[DefaultSchemaTableNameOrOptions["schema"]]["Tables"]
    & DatabaseWithoutInternals[DefaultSchemaTableNameOrOptions["schema"]]["Views"]
  )[TableName] extends {
    Row: infer R;
  } ? R
  : never
  : DefaultSchemaTableNameOrOptions extends keyof (DefaultSchema["Tables"] & DefaultSchema["Views"])
    ? (DefaultSchema["Tables"] & DefaultSchema["Views"])[DefaultSchemaTableNameOrOptions] extends {
      Row: infer R;
    } ? R
    : never
  : never;

export type TablesInsert<
  DefaultSchemaTableNameOrOptions extends
    | keyof DefaultSchema["Tables"]
    | { schema: keyof DatabaseWithoutInternals },
  TableName extends DefaultSchemaTableNameOrOptions extends {
    schema: keyof DatabaseWithoutInternals;
  } ? keyof DatabaseWithoutInternals[DefaultSchemaTableNameOrOptions["schema"]]["Tables"]
    : never = never,
> = DefaultSchemaTableNameOrOptions extends { schema: keyof DatabaseWithoutInternals }
  ? DatabaseWithoutInternals[DefaultSchemaTableNameOrOptions["schema"]]["Tables"][TableName] extends {
    Insert: infer I;
  } ? I
  : never
  : DefaultSchemaTableNameOrOptions extends keyof DefaultSchema["Tables"]
    ? DefaultSchema["Tables"][DefaultSchemaTableNameOrOptions] extends {
      Insert: infer I;
    } ? I
    : never
  : never;

export type TablesUpdate<
  DefaultSchemaTableNameOrOptions extends
    | keyof DefaultSchema["Tables"]
    | { schema: keyof DatabaseWithoutInternals },
  TableName extends DefaultSchemaTableNameOrOptions extends {
    schema: keyof DatabaseWithoutInternals;
  } ? keyof DatabaseWithoutInternals[DefaultSchemaTableNameOrOptions["schema"]]["Tables"]
    : never = never,
> = DefaultSchemaTableNameOrOptions extends { schema: keyof DatabaseWithoutInternals }
  ? DatabaseWithoutInternals[DefaultSchemaTableNameOrOptions["schema"]]["Tables"][TableName] extends {
    Update: infer U;
  } ? U
  : never
  : DefaultSchemaTableNameOrOptions extends keyof DefaultSchema["Tables"]
    ? DefaultSchema["Tables"][DefaultSchemaTableNameOrOptions] extends {
      Update: infer U;
    } ? U
    : never
  : never;

export type Enums<
  DefaultSchemaEnumNameOrOptions extends
    | keyof DefaultSchema["Enums"]
    | { schema: keyof DatabaseWithoutInternals },
  EnumName extends DefaultSchemaEnumNameOrOptions extends {
    schema: keyof DatabaseWithoutInternals;
  } ? keyof DatabaseWithoutInternals[DefaultSchemaEnumNameOrOptions["schema"]]["Enums"]
    : never = never,
> = DefaultSchemaEnumNameOrOptions extends { schema: keyof DatabaseWithoutInternals }
  ? DatabaseWithoutInternals[DefaultSchemaEnumNameOrOptions["schema"]]["Enums"][EnumName]
  : DefaultSchemaEnumNameOrOptions extends keyof DefaultSchema["Enums"]
    ? DefaultSchema["Enums"][DefaultSchemaEnumNameOrOptions]
  : never;

export type CompositeTypes<
  PublicCompositeTypeNameOrOptions extends
    | keyof DefaultSchema["CompositeTypes"]
    | { schema: keyof DatabaseWithoutInternals },
  CompositeTypeName extends PublicCompositeTypeNameOrOptions extends {
    schema: keyof DatabaseWithoutInternals;
  } ? keyof DatabaseWithoutInternals[PublicCompositeTypeNameOrOptions["schema"]]["CompositeTypes"]
    : never = never,
> = PublicCompositeTypeNameOrOptions extends { schema: keyof DatabaseWithoutInternals }
  ? DatabaseWithoutInternals[PublicCompositeTypeNameOrOptions["schema"]]["CompositeTypes"][CompositeTypeName]
  : PublicCompositeTypeNameOrOptions extends keyof DefaultSchema["CompositeTypes"]
    ? DefaultSchema["CompositeTypes"][PublicCompositeTypeNameOrOptions]
  : never;

export const Constants = {
  "public": {
    Enums: {},
  },
} as const;
