// Figures of the made-up job.

export const STATISTICS = {
  planes: Array.from({ length: 60 }, (_, t) => ({ t, z: null, instances: Math.round(200 + 4 * t + 20 * Math.sin(t / 3)) })),
  histograms: [
    { column: "area_um2", title: "Area", unit: "um2", edges: edges(20, 180), counts: bell(300) },
    { column: "mean_intensity_DAPI", title: "Mean intensity, DAPI", unit: "", edges: edges(400, 5200), counts: bell(220) },
    { column: "speed", title: "Mean speed of tracks", unit: "um/s", edges: edges(0, 0.4), counts: bell(90) },
  ],
};

function edges(first: number, last: number): number[] {
  return Array.from({ length: 41 }, (_, i) => first + ((last - first) * i) / 40);
}

function bell(height: number): number[] {
  return Array.from({ length: 40 }, (_, i) => Math.round(height * Math.exp(-(((i - 16) / 7) ** 2))));
}

/** Track 1 divides three times over, track 100 once; the rest of 5,000 never. */
export function lineage() {
  const tracks = [];
  for (let number = 1; number <= 15; number++) {
    const generation = Math.floor(Math.log2(number));
    const first_t = generation * 14 + (number % 3);
    tracks.push({ track: number, parent: number === 1 ? 0 : number >> 1, first_t, last_t: (generation + 1) * 14 + ((2 * number) % 3) - 1 });
  }
  tracks.push({ track: 100, parent: 0, first_t: 0, last_t: 30 });
  for (const number of [101, 102]) tracks.push({ track: number, parent: 100, first_t: 31, last_t: 59 });
  for (let number = 200; number < 5000; number++) tracks.push({ track: number, parent: 0, first_t: number % 50, last_t: 59 });
  return { tracks };
}

export const COMPARISON = {
  iou: Array.from({ length: 10 }, (_, i) => Math.round(50 + 5 * i) / 100),
  f1: [0.912, 0.905, 0.893, 0.871, 0.842, 0.79, 0.71, 0.58, 0.36, 0.08],
  precision: [0.93, 0.92, 0.91, 0.89, 0.86, 0.81, 0.73, 0.6, 0.37, 0.08],
  recall: [0.895, 0.89, 0.88, 0.855, 0.825, 0.77, 0.69, 0.56, 0.35, 0.08],
  ap: [0.84, 0.83, 0.81, 0.77, 0.73, 0.65, 0.55, 0.41, 0.22, 0.04],
  planes: Array.from({ length: 5 }, (_, t) => ({ t, z: 0, f1: 0.9 + 0.02 * Math.cos(t), instances: 600, others: 612 })),
  instances: 3000, others: 3060,
};
