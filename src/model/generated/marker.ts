// Generated from schemas/marker.schema.json by schemas/generate.ts. Do not edit.

/**
 * granary.json: makes a bucket or folder a destination, and tells it from all others, whatever it is called. Written once, never changed.
 */
export interface Marker {
  /**
   * Version of the layout of the whole destination. A reader refuses a higher one than it knows.
   */
  format: 1;
  /**
   * The destination's id, a UUID.
   */
  id: string;
  /**
   * When it was written, RFC 3339 in UTC.
   */
  created: string;
}
