// Who else may see a job, and for how long it is kept.

import { useEffect, useRef, useState } from "preact/hooks";

import { createShare, deleteShare, listShares } from "../api/jobs";
import { sentenceOf } from "../api/problem";
import type { Job, Share } from "../api/types";
import { inDays, moment, until } from "../format/times";
import { CopyButton } from "../page/CopyButton";
import { keep, KEEP_DAYS } from "./actions";

const LINK_DAYS = 7;

export function Sharing({ job }: { job: Job }) {
  const [links, setLinks] = useState<Share[]>([]);
  const [made, setMade] = useState<Share | null>(null);
  const [trouble, setTrouble] = useState("");

  async function attempt(action: () => Promise<void>): Promise<void> {
    setTrouble("");
    try {
      await action();
    } catch (error) {
      setTrouble(sentenceOf(error));
    }
  }
  const list = async (): Promise<void> => setLinks(await listShares(job.id));
  const create = async (): Promise<void> => {
    setMade(await createShare(job.id, inDays(LINK_DAYS)));
    await list();
  };
  const withdraw = async (link: Share): Promise<void> => {
    await deleteShare(job.id, link.id);
    setMade(null);
    await list();
  };
  useEffect(() => void attempt(list), [job.id]);
  return (
    <section class="card pad" aria-labelledby="sharing-title">
      <h2 id="sharing-title">Sharing and keeping</h2>
      <p class="sharing-buttons">
        <button type="button" id="share" onClick={() => attempt(create)}>Make a link</button>
        <button type="button" class="quiet" title={`${KEEP_DAYS} days from today`}
          onClick={() => attempt(() => keep(job))}>Keep {KEEP_DAYS} days</button>
      </p>
      {job.expire_time && <p class="hint">Deleted {until(job.expire_time)}, on{" "}
        {moment(job.expire_time)}. Whoever has a link sees this job and its results for {LINK_DAYS} days.</p>}
      {made && <NewLink share={made} />}
      <ul class="links">
        {links.map((link) => (
          <li key={link.id}><span class="hint">A link until {moment(link.expire_time)}</span>
            <button type="button" class="quiet" onClick={() => attempt(() => withdraw(link))}>Withdraw</button>
          </li>
        ))}
      </ul>
      {trouble && <p class="row-error" role="alert">{trouble}</p>}
    </section>
  );
}

// As the kiosk says it, or from where this page is.
const whole = (url: string): string => new URL(url, location.href).href;

function NewLink({ share }: { share: Share }) {
  return (
    <>
      <LinkField id="link" label="Copy this link; it is shown once" url={whole(share.url)} isFocused />
      {share.zarr_url && (
        <>
          <LinkField id="zarr-link" label="The same as OME-Zarr, for other viewers"
            url={whole(share.zarr_url)} />
          <p class="hint">In napari: File, Open, by address (with napari-ome-zarr). In Fiji: Plugins, N5
            viewer. In vizarr and neuroglancer: as source.</p>
        </>
      )}
    </>
  );
}

interface LinkProps {
  id: string;
  label: string;
  url: string;
  isFocused?: boolean;
}

function LinkField({ id, label, url, isFocused = false }: LinkProps) {
  const input = useRef<HTMLInputElement>(null);
  useEffect(() => { if (isFocused) input.current?.select(); }, [url]);
  return (
    <div class="field">
      <label for={id}>{label}</label>
      <div class="copied">
        <input ref={input} id={id} type="text" readOnly value={url} />
        <CopyButton text={url} label="Copy" select={() => input.current?.select()} />
      </div>
    </div>
  );
}
