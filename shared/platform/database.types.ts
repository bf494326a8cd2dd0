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
      "coherence_history": {
        Row: {
          "checked_at": string;
          "copy_count": number;
          "id": number;
          "in_flight": number;
          "missing": number;
          "orphan": number;
          "pair": string;
          "source_count": number;
          "stale": number;
          "verdict": string;
        };
        ComputedFields: never;
        Insert: {
          "checked_at"?: string;
          "copy_count": number;
          "id"?: never;
          "in_flight": number;
          "missing": number;
          "orphan": number;
          "pair": string;
          "source_count": number;
          "stale": number;
          "verdict": string;
        };
        Update: {
          "checked_at"?: string;
          "copy_count"?: number;
          "id"?: never;
          "in_flight"?: number;
          "missing"?: number;
          "orphan"?: number;
          "pair"?: string;
          "source_count"?: number;
          "stale"?: number;
          "verdict"?: string;
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
          "occurrence": number;
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
          "occurrence"?: number;
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
          "occurrence"?: number;
          "profile"?: string;
          "source_id"?: string;
          "source_table"?: string;
          "token_count"?: number;
          "updated_at"?: string;
        };
        Relationships: [];
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
      "embedding_costs": {
        Row: {
          "cost_usd": number;
          "day": string;
          "profile": string;
          "requests": number;
          "source_table": string;
          "tokens": number;
          "tokens_saved_coalesced": number;
          "tokens_saved_reused": number;
          "tokens_saved_unchanged": number;
        };
        ComputedFields: never;
        Insert: {
          "cost_usd"?: number;
          "day"?: string;
          "profile": string;
          "requests"?: number;
          "source_table": string;
          "tokens"?: number;
          "tokens_saved_coalesced"?: number;
          "tokens_saved_reused"?: number;
          "tokens_saved_unchanged"?: number;
        };
        Update: {
          "cost_usd"?: number;
          "day"?: string;
          "profile"?: string;
          "requests"?: number;
          "source_table"?: string;
          "tokens"?: number;
          "tokens_saved_coalesced"?: number;
          "tokens_saved_reused"?: number;
          "tokens_saved_unchanged"?: number;
        };
        Relationships: [];
      };
      "embedding_sync_queue": {
        Row: {
          "action": string;
          "content": string | null;
          "created_at": string;
          "edits": number;
          "failed_at": string | null;
          "last_error": string | null;
          "lease_token": string | null;
          "leased_revision": number | null;
          "priority": number;
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
          "edits"?: number;
          "failed_at"?: string | null;
          "last_error"?: string | null;
          "lease_token"?: string | null;
          "leased_revision"?: number | null;
          "priority"?: number;
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
          "edits"?: number;
          "failed_at"?: string | null;
          "last_error"?: string | null;
          "lease_token"?: string | null;
          "leased_revision"?: number | null;
          "priority"?: number;
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
      "files_queue": {
        Row: {
          "bucket_id": string;
          "content_tag": string;
          "created_at": string;
          "failed_at": string | null;
          "file_path": string;
          "file_size": number | null;
          "last_error": string | null;
          "lease_token": string | null;
          "leased_revision": number | null;
          "mime_type": string | null;
          "object_version": string;
          "priority": number;
          "processed": boolean;
          "processed_at": string | null;
          "progress": Json | null;
          "retry_count": number;
          "revision": number;
          "status": string;
          "visible_at": string;
        };
        ComputedFields: never;
        Insert: {
          "bucket_id": string;
          "content_tag": string;
          "created_at"?: string;
          "failed_at"?: string | null;
          "file_path": string;
          "file_size"?: number | null;
          "last_error"?: string | null;
          "lease_token"?: string | null;
          "leased_revision"?: number | null;
          "mime_type"?: string | null;
          "object_version": string;
          "priority"?: number;
          "processed"?: never;
          "processed_at"?: string | null;
          "progress"?: Json | null;
          "retry_count"?: number;
          "revision"?: number;
          "status"?: string;
          "visible_at"?: string;
        };
        Update: {
          "bucket_id"?: string;
          "content_tag"?: string;
          "created_at"?: string;
          "failed_at"?: string | null;
          "file_path"?: string;
          "file_size"?: number | null;
          "last_error"?: string | null;
          "lease_token"?: string | null;
          "leased_revision"?: number | null;
          "mime_type"?: string | null;
          "object_version"?: string;
          "priority"?: number;
          "processed"?: never;
          "processed_at"?: string | null;
          "progress"?: Json | null;
          "retry_count"?: number;
          "revision"?: number;
          "status"?: string;
          "visible_at"?: string;
        };
        Relationships: [];
      };
    };
    Views: {
      "embedding_profile_status": {
        Row: {
          "activated_at": string | null;
          "chunk_overlap": number;
          "chunk_tokens": number;
          "coverage": number | null;
          "created_at": string;
          "dimensions": number;
          "eligible": number | null;
          "embedded": number | null;
          "is_indexed": boolean | null;
          "model": string;
          "name": string;
          "provider": string;
          "state": string;
          "template": string;
        };
        ComputedFields: never;
        Relationships: [];
      };
      "embedding_sync_status": {
        Row: {
          "completed": number | null;
          "coverage": number | null;
          "eligible": number | null;
          "embedded": number | null;
          "eta": string | null;
          "failed": number | null;
          "is_catching_up": boolean | null;
          "oldest_pending": string | null;
          "pending": number | null;
          "processing": number | null;
          "rate": number | null;
          "source_table": string;
        };
        ComputedFields: never;
        Relationships: [];
      };
      "files_sync_status": {
        Row: {
          "bucket_id": string;
          "completed": number | null;
          "eta": string | null;
          "failed": number | null;
          "oldest_pending": string | null;
          "paths": string;
          "pending": number | null;
          "processing": number | null;
          "rate": number | null;
          "readers": string;
          "types": (string)[] | null;
        };
        ComputedFields: never;
        Relationships: [];
      };
    };
    Functions: {
      "account_embedding_usage": {
        Args: { "entries": Json; "has_answered": boolean; "known_failures": number; "profile": string };
        Returns: undefined;
      };
      "activate_embedding_profile": { Args: { "force"?: boolean; "name": string }; Returns: Json };
      "claim_embedding_jobs": {
        Args: { "batch_size": number; "default_profile": Json; "worker": string };
        Returns: Json;
      };
      "claim_file_jobs": { Args: { "batch_size": number; "worker": string }; Returns: Json };
      "clean_up_embedding_queue": { Args: Record<PropertyKey, never>; Returns: number };
      "clean_up_files_queue": { Args: Record<PropertyKey, never>; Returns: number };
      "coherence_report": { Args: { "keep"?: boolean }; Returns: Json };
      "coherence_trend": { Args: { "days"?: number }; Returns: Json };
      "embedding_spending": { Args: Record<PropertyKey, never>; Returns: Json };
      "end_embedding_worker": { Args: { "goes_on"?: boolean; "worker": string }; Returns: number };
      "end_file_worker": { Args: { "goes_on"?: boolean; "worker": string }; Returns: number };
      "enqueue_embedding": {
        Args: { "content"?: string; "source_id": string; "source_table": string };
        Returns: undefined;
      };
      "finish_embedding_jobs": { Args: { "results": Json }; Returns: Json };
      "finish_file_jobs": { Args: { "results": Json }; Returns: Json };
      "get_settings": { Args: Record<PropertyKey, never>; Returns: Json };
      "health_checks": { Args: { "key_fingerprints"?: Json }; Returns: Json };
      "is_admin": { Args: Record<PropertyKey, never>; Returns: boolean };
      "known_embeddings": { Args: { "hashes": (string)[]; "profile": string }; Returns: Json };
      "last_coherence_report": { Args: Record<PropertyKey, never>; Returns: Json };
      "pause_embedding_provider": {
        Args: { "message": string; "provider": string; "seconds"?: number };
        Returns: number;
      };
      "prepare_embedding_profile": {
        Args: {
          "chunk_overlap": number;
          "chunk_tokens": number;
          "dimensions": number;
          "model": string;
          "name": string;
          "provider": string;
          "template": string;
          "usd_per_million_tokens"?: number;
        };
        Returns: Json;
      };
      "read_embedding_jobs": { Args: { "tokens": (string)[] }; Returns: Json };
      "read_file_jobs": { Args: { "tokens": (string)[] }; Returns: Json };
      "register_embedding_source": {
        Args: {
          "chunk_overlap"?: number;
          "chunk_tokens"?: number;
          "content": string;
          "published"?: string;
          "source": unknown;
        };
        Returns: Json;
      };
      "release_embedding_jobs": { Args: { "delay_seconds"?: number; "tokens": (string)[] }; Returns: number };
      "release_file_jobs": { Args: { "tokens": (string)[] }; Returns: number };
      "repair_coherence": { Args: Record<PropertyKey, never>; Returns: Json };
      "resync_embeddings": { Args: { "source_table"?: string }; Returns: number };
      "retire_embedding_profile": { Args: { "name": string }; Returns: Json };
      "retry_failed_embeddings": { Args: { "source_table"?: string }; Returns: number };
      "retry_failed_files": { Args: { "bucket_id"?: string }; Returns: number };
      "rollback_embedding_profile": { Args: Record<PropertyKey, never>; Returns: Json };
      "save_file_progress": {
        Args: { "object_version": string; "parts": Json; "progress": Json; "token": string };
        Returns: boolean;
      };
      "search_documentation": {
        Args: { "match_count"?: number; "profile": string; "query_embedding": string; "sources"?: (string)[] };
        Returns: Json;
      };
      "search_profile": { Args: Record<PropertyKey, never>; Returns: Json };
      "set_setting": { Args: { "name": string; "value": Json }; Returns: Json };
      "stock_embeddings": { Args: { "chunks": Json; "profile": string }; Returns: undefined };
      "stop_sync": { Args: { "bucket_id": string }; Returns: Json };
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
      "stuck_file_jobs": {
        Args: Record<PropertyKey, never>;
        Returns: {
          "bucket_id": string;
          "file_path": string;
          "last_error": string;
          "problem": string;
          "retry_count": number;
          "since": string;
          "status": string;
        }[];
      };
      "sync_bucket": { Args: { "batch"?: number; "bucket_id": string; "force"?: boolean }; Returns: Json };
      "sync_storage_objects": { Args: { "objects": Json }; Returns: number };
      "system_status": { Args: Record<PropertyKey, never>; Returns: Json };
      "take_embedding_rate": {
        Args: { "known_failures": number; "provider": string; "tokens": number };
        Returns: Json;
      };
      "unregister_embedding_source": { Args: { "source": unknown }; Returns: undefined };
      "unwatch_bucket": { Args: { "bucket_id": string }; Returns: undefined };
      "verify_embeddings": {
        Args: { "only_source"?: string };
        Returns: {
          "detail": string;
          "problem": string;
          "profile": string;
          "queued": string;
          "source_id": string;
          "source_table": string;
        }[];
      };
      "watch_bucket": {
        Args: { "bucket_id": string; "paths"?: string; "readers"?: string; "types"?: (string)[] };
        Returns: Json;
      };
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
