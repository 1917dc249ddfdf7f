// Colours as WCAG 2.2 reckons with them: the shop chooses one, and what is written on it or in it stays readable.

export const usual = '#2f5bea';

// parse reads #rgb or #rrggbb; everything else is null.
export function parse(text) {
  const m = /^#([0-9a-f]{3}|[0-9a-f]{6})$/i.exec(text || '');
  if (!m) return null;
  const hex = m[1].length === 3 ? m[1].replace(/./g, '$&$&') : m[1];
  return [0, 2, 4].map((i) => parseInt(hex.slice(i, i + 2), 16));
}

export const format = (rgb) => '#' + rgb.map((c) => Math.round(c).toString(16).padStart(2, '0')).join('');

// luminance is WCAG's relative luminance, from 0 to 1.
export function luminance(rgb) {
  const [r, g, b] = rgb.map((c) => (c / 255 <= 0.04045 ? c / 255 / 12.92 : ((c / 255 + 0.055) / 1.055) ** 2.4));
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}

// contrast is from 1 to 21; text needs 4.5.
export function contrast(a, b) {
  const [low, high] = [luminance(a), luminance(b)].sort((x, y) => x - y);
  return (high + 0.05) / (low + 0.05);
}

const black = [0, 0, 0], white = [255, 255, 255];

// inkOn is white or black, whichever is easier to read on a colour; one of them always has 4.5.
export const inkOn = (rgb) => (contrast(rgb, white) >= 4.5 || contrast(rgb, white) >= contrast(rgb, black) ? white : black);

// readable is a colour, made darker or lighter until it can be read on a background.
export function readable(rgb, background) {
  const towards = inkOn(background);
  for (let part = 0; part < 1; part += 0.05) {
    const mixed = rgb.map((c, i) => c + (towards[i] - c) * part);
    if (contrast(mixed, background) >= 4.5) return mixed;
  }
  return towards;
}
