// The usual colours of stains, by the names that microscopes write.

const STAINS: [RegExp, string][] = [
  [/dapi|hoechst|nuclei|nuclear|405|bfp/i, "blue"],
  [/gfp|fitc|488|alexa ?488|yfp|calcein|venus/i, "green"],
  [/cherry|tritc|cy3|rfp|555|561|568|594|texas|dsred|tdtomato|^red$/i, "red"],
  [/cy5|647|640|far ?red|magenta/i, "magenta"],
  [/cfp|cyan/i, "cyan"],
  [/phase|dic|bright|trans|bf\b|grey|gray/i, "grey"],
  [/^green$/i, "green"],
  [/^blue$/i, "blue"],
];

/** A word that the style sheet has a colour for; "none" where the name tells nothing. */
export function stainOf(name: string): string {
  return STAINS.find(([pattern]) => pattern.test(name))?.[1] ?? "none";
}
