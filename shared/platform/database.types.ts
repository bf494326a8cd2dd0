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
      [_ in never]: never;
    };
    Functions: {
      "get_settings": { Args: Record<PropertyKey, never>; Returns: Json };
      "health_checks": { Args: { "key_fingerprints"?: Json }; Returns: Json };
      "is_admin": { Args: Record<PropertyKey, never>; Returns: boolean };
      "set_setting": { Args: { "name": string; "value": Json }; Returns: Json };
      "system_status": { Args: Record<PropertyKey, never>; Returns: Json };
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
