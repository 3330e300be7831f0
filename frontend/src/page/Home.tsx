// The first page: files go in, jobs are listed.

import { FilesCard } from "../files/FilesCard";
import { count } from "../format/numbers";
import { JobList } from "../jobs/JobList";
import { Heading } from "./Heading";
import { jobs } from "./kiosk";

export function Home() {
  const running = jobs.open.value.length;
  return (
    <>
      <Heading title={running > 0 ? `${count(running, "open job")}` : ""} isHidden>Segment images</Heading>
      <FilesCard />
      <JobList />
    </>
  );
}
