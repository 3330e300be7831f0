// Jobs, their results, links and figures.

import type { ImageInfo, InstanceRows } from "../viewer/shapes";
import { API, getJson, postJson, query, remove } from "./client";
import type { Job, JobPage, JobRequest, Plane, Result, Share } from "./types";

const of = (id: string): string => `/jobs/${encodeURIComponent(id)}`;

export interface JobQuery {
  search: string;
  state: string;
  pageToken?: string;
}

export function listJobs({ search, state, pageToken }: JobQuery): Promise<JobPage> {
  return getJson(`/jobs${query({ search, state, page_token: pageToken })}`);
}

export const getJob = (id: string): Promise<Job> => getJson(of(id));
export const submitJob = (body: JobRequest): Promise<Job> => postJson("/jobs", body);
export const cancelJob = (id: string): Promise<Job> => postJson(`${of(id)}/cancel`);
export const redriveJob = (id: string): Promise<Job> => postJson(`${of(id)}/redrive`);
export const deleteJob = (id: string): Promise<void> => remove(of(id));
export const extendJob = (id: string, expire_time: string): Promise<Job> =>
  postJson(`${of(id)}/extend`, { expire_time });

export async function listResults(id: string): Promise<Result[]> {
  return (await getJson<{ results: Result[] }>(`${of(id)}/results`)).results;
}

export const jobAddress = (id: string): string => API + of(id);
export const zipUrl = (id: string): string => `${API}${of(id)}/results.zip`;
export const resultUrl = (id: string, fileName: string): string =>
  `${API}${of(id)}/results/${encodeURIComponent(fileName)}`;

export const getImage = (id: string): Promise<ImageInfo> => getJson(`${of(id)}/image`);
export const getInstances = (id: string, { t, z }: Plane): Promise<InstanceRows> =>
  getJson(`${of(id)}/instances${query({ t, z })}`);

export async function listShares(id: string): Promise<Share[]> {
  return (await getJson<{ shares: Share[] }>(`${of(id)}/shares`)).shares;
}

export const createShare = (id: string, expire_time: string): Promise<Share> =>
  postJson(`${of(id)}/shares`, { expire_time });
export const deleteShare = (id: string, share: string): Promise<void> =>
  remove(`${of(id)}/shares/${encodeURIComponent(share)}`);
