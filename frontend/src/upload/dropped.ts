// The files of a drop or a choice, those in folders included.

const ZARR_MARKS = [".zattrs", ".zgroup", ".zarray", "zarr.json"];
const PATHS = new WeakMap<File, string>(); // where a dropped file was; a chosen one tells itself

export interface Chosen {
  files: File[];
  /** Names of OME-Zarr folders, whose thousands of files are one image. */
  zarrFolders: string[];
}

export const pathOf = (file: File): string => PATHS.get(file) || file.webkitRelativePath || "";

/** All files of a drop, in natural order: frame2 before frame10. */
export async function droppedFiles(transfer: DataTransfer): Promise<File[]> {
  // Entries must be taken before the first await: the browser empties the list after the event.
  const entries = [...transfer.items]
    .map((item) => item.webkitGetAsEntry?.() ?? null)
    .filter((entry) => entry !== null);
  if (entries.length === 0) return [...transfer.files];
  const files: File[] = [];
  for (const entry of entries) await collect(entry, files);
  return files;
}

/** What can be sent one by one, sorted; hidden files (".DS_Store") are left out. */
export function sorted(files: readonly File[]): Chosen {
  const marked = files.filter((file) => ZARR_MARKS.includes(file.name) && pathOf(file).includes("/"));
  const parents = [...new Set(marked.map((file) => pathOf(file).replace(/[^/]*$/, "")))];
  const tops = parents.filter((one) => !parents.some((other) => other !== one && one.startsWith(other)));
  const isInside = (file: File): boolean => tops.some((folder) => pathOf(file).startsWith(folder));
  return {
    files: files.filter((file) => isVisible(file) && !isInside(file)).sort(byName),
    zarrFolders: tops.map((folder) => folder.replace(/\/$/, "").split("/").pop() ?? folder),
  };
}

const isVisible = (file: File): boolean => !file.name.startsWith(".") && file.name !== "Thumbs.db";

const byName = (a: File, b: File): number =>
  (pathOf(a) || a.name).localeCompare(pathOf(b) || b.name, undefined, { numeric: true });

async function collect(entry: FileSystemEntry, files: File[]): Promise<void> {
  if (entry.isFile) {
    const file = await new Promise<File>((resolve, reject) => {
      (entry as FileSystemFileEntry).file(resolve, reject);
    });
    PATHS.set(file, entry.fullPath.replace(/^\//, ""));
    files.push(file);
    return;
  }
  const reader = (entry as FileSystemDirectoryEntry).createReader();
  for (;;) {
    // A reader gives at most 100 entries at a time.
    const some = await new Promise<FileSystemEntry[]>((resolve, reject) => {
      reader.readEntries(resolve, reject);
    });
    if (some.length === 0) return;
    for (const inner of some) await collect(inner, files);
  }
}
