"""Drives QGIS' own Python without windows: the plugin's algorithms, progress, cancel and colours.

`pytest -m clients tests/clients` runs it with the Python that has QGIS (Debian: /usr/bin/python3);
its arguments are the `hsisr` program and a folder with `scene.tif`. It prints what happened; what
is wrong ends it with an error.
"""

import os
import sys
from pathlib import Path

sys.path[:0] = ["/usr/share/qgis/python/plugins", str(Path(__file__).parent)]

from hsisr_processing.provider import HsisrProvider
from hsisr_processing.runner import SETTING
from processing.core.Processing import Processing
from processing.core.ProcessingConfig import ProcessingConfig
from qgis.core import (
    Qgis,
    QgsApplication,
    QgsProcessingContext,
    QgsProcessingException,
    QgsProcessingFeedback,
    QgsProject,
    QgsRasterLayer,
)


class Feedback(QgsProcessingFeedback):
    """Keeps what is said; may cancel at the first progress."""

    def __init__(self, *, cancels=False):
        super().__init__(False)
        self.steps, self.cancels = [], cancels
        self.progressChanged.connect(self._moved)

    def _moved(self, percent):
        self.steps.append(round(percent))
        if self.cancels and percent > 0:
            self.cancel()


def run(name, parameters, feedback):
    """Run an algorithm; its results and its context."""
    context = QgsProcessingContext()
    context.setProject(QgsProject.instance())
    algorithm = QgsApplication.processingRegistry().createAlgorithmById(f"hsisr:{name}")
    results, well = algorithm.run(parameters, context, feedback)
    return results if well else None, context


def main(program, folder):
    """Everything, in order."""
    application = QgsApplication([], False)
    application.initQgis()
    Processing.initialize()
    provider = HsisrProvider()
    QgsApplication.processingRegistry().addProvider(provider)
    ProcessingConfig.setSettingValue(SETTING, program)
    print(f"QGIS {Qgis.QGIS_VERSION}")
    print("algorithms:", ", ".join(sorted(a.id() for a in provider.algorithms())))

    scene, finer = folder / "scene.tif", folder / "finer.tif"
    facts, _ = run("info", {"INPUT": str(scene)}, Feedback())
    print("info:", facts["BANDS"], "bands,", facts["ROWS"], "x", facts["COLS"], "pixels")

    feedback = Feedback()
    how = {"INPUT": str(scene), "SCALE": 0, "MODEL": "bicubic", "TILE": 8, "OUTPUT": str(finer)}
    made, _ = run("upscale", how, feedback)
    assert made["OUTPUT"] == str(finer) and finer.exists()
    assert feedback.steps == sorted(feedback.steps) and len(set(feedback.steps)) > 3
    print("upscale: progress rises to", feedback.steps[-1], "%")

    before, after = QgsRasterLayer(str(scene)), QgsRasterLayer(str(finer))
    assert after.isValid() and after.crs() == before.crs() and after.extent() == before.extent()
    ratio = before.rasterUnitsPerPixelX() / after.rasterUnitsPerPixelX()
    print(
        "opened in QGIS: same CRS and extent,", after.bandCount(), "bands, pixels", ratio, "x finer"
    )
    print("band 1 is called:", after.bandName(1))

    figures, _ = run("evaluate", {"ESTIMATE": str(finer), "OBSERVED": str(scene)}, Feedback())
    assert figures["LR_RMSE"] == 0
    print("evaluate: lr_rmse", figures["LR_RMSE"])

    stopped, feedback = folder / "stopped.tif", Feedback(cancels=True)
    run("upscale", {"INPUT": str(scene), "SCALE": 2, "TILE": 8, "OUTPUT": str(stopped)}, feedback)
    assert feedback.isCanceled() and not stopped.exists()
    print("cancelled at the first progress: no output is left")

    complaint = Feedback()
    try:
        refused, _ = run("info", {"INPUT_FILE": str(folder / "none.mat")}, complaint)
    except QgsProcessingException:
        refused = None
    assert refused is None
    print("refused:", complaint.textLog().strip().splitlines()[-1].replace(str(folder), "."))

    from hsisr_processing.algorithms import NaturalColour

    wavelengths = [float(one) for one in facts["WAVELENGTHS_NM"].split()]
    NaturalColour.of(wavelengths).postProcessLayer(after, None, None)
    shown = [after.renderer().redBand(), after.renderer().greenBand(), after.renderer().blueBand()]
    print("natural colour:", [f"{wavelengths[band - 1]:g} nm" for band in shown])
    sys.stdout.flush()
    os._exit(0)  # QGIS' own end, with layers alive, may crash


main(sys.argv[1], Path(sys.argv[2]))
