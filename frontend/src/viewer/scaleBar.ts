/** The longest of 1, 2 or 5 times a power of ten µm that is at most `mostPx` long on the screen. */
export function scaleBar(pixelSize_um: number, scale: number, mostPx: number) {
  const most_um = (mostPx * pixelSize_um) / scale;
  const power = 10 ** Math.floor(Math.log10(most_um));
  const length_um = ([5, 2, 1].find((step) => step * power <= most_um) ?? 1) * power;
  return { width_px: (length_um * scale) / pixelSize_um, text: lengthInWords(length_um) };
}

function lengthInWords(length_um: number): string {
  if (length_um >= 1000) return `${length_um / 1000} mm`;
  if (length_um >= 1) return `${length_um} µm`;
  return `${Math.round(length_um * 1000)} nm`;
}
