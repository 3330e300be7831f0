// The JSON of the HTTP API. Names and meanings are those of the proto (protos/kiosk/v1).

export type JobState = "queued" | "running" | "succeeded" | "failed" | "cancelled";
export type Stage = "waiting" | "planning" | "parts" | "joining" | "finished";

export interface JobError {
  reason: string;
  message: string;
}

export interface Reading {
  member?: string;
  series?: number;
  axes?: string;
  pixel_size_um?: number;
  z_step_um?: number;
}

export interface Region {
  min_y_px: number;
  min_x_px: number;
  max_y_px: number;
  max_x_px: number;
}

export interface Plane {
  t: number;
  z: number;
}

/** What a tracking asks beyond a segmentation; what is left out has its default. */
export interface TrackingOptions {
  labels?: string;
  tracks?: string;
  labels_are_tracks?: boolean;
  skip_bad_frames?: boolean;
  linker?: string;
  longest_gap_frames?: number | null;
  reach_px?: number;
  divisions?: boolean;
  correct_drift?: boolean;
  mend?: boolean;
}

/** What was asked of a job, without what was left at its default. */
export interface JobParameters {
  channel?: string;
  postprocessing?: Record<string, number>;
  reading?: Reading;
  region?: Region | null;
  plane?: Plane | null;
  volume?: boolean;
  formats?: string[];
  within?: string;
  tracking?: TrackingOptions;
  preview?: boolean;
}

export interface Job {
  id: string;
  name: string;
  pipeline: string;
  upload: string;
  file_name: string;
  model: string;
  model_version: string;
  state: JobState;
  stage: Stage;
  parts_done: number;
  parts_total: number;
  notes: string[];
  create_time?: string;
  start_time?: string;
  end_time?: string;
  expire_time?: string;
  parameters: JobParameters;
  owner: string;
  priority: string;
  waiting_for: string;
  error?: JobError;
}

export interface JobPage {
  jobs: Job[];
  next_page_token: string;
}

/** Body of POST /jobs. */
export interface JobRequest {
  upload: string;
  model: string;
  model_version?: string;
  channel?: string;
  parameters?: Record<string, number>;
  request_id?: string;
  reading?: Reading;
  region?: Region;
  plane?: Plane;
  preview?: boolean;
  volume?: boolean;
  formats?: string[];
  within?: string;
  tracking?: TrackingOptions;
}

export interface Parameter {
  name: string;
  kind: "number" | "whole" | "switch";
  default_value: number;
  minimum: number;
  maximum: number;
  unit: string;
  meaning: string;
}

export interface Model {
  name: string;
  display_name: string;
  description: string;
  versions: string[];
  default_version: string;
  canary_version: string;
  pipeline: string;
  channels: string[];
  accepts_rgb: boolean;
  min_object_diameter_px: number;
  max_object_diameter_px: number;
  parameters: Parameter[];
}

export interface Format {
  name: string;
  ending: string;
  description: string;
  is_default: boolean;
}

/** One image of an upload, as the kiosk sees it before anything runs. */
export interface InspectedImage {
  reading: Reading;
  title: string;
  format: string;
  size_t: number;
  size_c: number;
  size_z: number;
  size_y: number;
  size_x: number;
  axes: string;
  dtype: string;
  is_rgb: boolean;
  channel_names: string[];
  pixel_size_y_um: number;
  pixel_size_x_um: number;
  z_step_um: number;
  frame_interval_s: number;
  notes: string[];
  /** PNG in base64; "" where there is none. */
  thumbnail: string;
  error?: JobError;
}

export interface Result {
  name: string;
  file_name: string;
  size_bytes: number;
  media_type: string;
  description: string;
  opens_with?: string;
}

export interface Share {
  id: string;
  name: string;
  token: string;
  url: string;
  zarr_url?: string;
  creator: string;
  create_time?: string;
  expire_time: string;
}

export interface Session {
  owner: string;
  scopes: string[];
}

export interface Health {
  status: string;
  backlog?: { parts: number; jobs: number };
}
