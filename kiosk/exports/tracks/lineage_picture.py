"""The lineage plot as PNG and as SVG."""

from __future__ import annotations

from kiosk.exports.tracks.writer import TrackWriter
from kiosk.imaging.lineage_plot import lineage_plot
from kiosk.imaging.plot_marks import Drawing, draw_picture, draw_svg


class LineagePng(TrackWriter):
    """The plot as a picture."""

    def close(self) -> None:
        draw_picture(_plot(self)).save(self.path, "PNG")


class LineageSvg(TrackWriter):
    """The plot as an SVG, for figures."""

    def close(self) -> None:
        self.path.write_text(draw_svg(_plot(self)), encoding="utf-8")


def _plot(writer: TrackWriter) -> Drawing:
    image = writer.image
    return lineage_plot(writer.lineage, image.sizes["t"], image.stem, image.frame_interval_s)
