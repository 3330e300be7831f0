// The result files of a job.

import { useEffect, useState } from "preact/hooks";

import { listResults, resultUrl, zipUrl } from "../api/jobs";
import { sentenceOf } from "../api/problem";
import type { Job, Result } from "../api/types";
import { bytes } from "../format/sizes";

/** The description, unless a sentence of it says what opens the file: that is said already. */
function withoutOpening({ description, opens_with = "" }: Result): string {
  return opens_with ? description.replace(`${opens_with}.`, "").trim() : description;
}

export function Results({ job }: { job: Job }) {
  const [results, setResults] = useState<Result[] | null>(null);
  const [trouble, setTrouble] = useState("");
  useEffect(() => {
    listResults(job.id).then(setResults, (error: unknown) => setTrouble(sentenceOf(error)));
  }, [job.id]);
  const total = results?.reduce((sum, result) => sum + result.size_bytes, 0) ?? 0;
  return (
    <section class="card pad" aria-labelledby="results-title">
      <h2 id="results-title">Results</h2>
      {trouble && <p class="row-error" role="alert">{trouble}</p>}
      {results && <p><a class="button primary" id="zip" href={zipUrl(job.id)} download="">
        Download all as zip{total > 0 && `, ${bytes(total)}`}</a></p>}
      <ul class="results" id="results">
        {results?.map((result) => (
          <li key={result.file_name}>
            <p class="result-line">
              <a href={resultUrl(job.id, result.file_name)} download={result.file_name}>
                {result.file_name}</a>
              <span class="number">{bytes(result.size_bytes)}</span>
            </p>
            {result.opens_with && <p class="opens">{result.opens_with}</p>}
            <p class="hint">{withoutOpening(result)}</p>
          </li>
        ))}
      </ul>
    </section>
  );
}
