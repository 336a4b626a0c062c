"""Upscale, Evaluate and Info as QGIS sees them: parameters, call, result."""

from qgis.core import (
    QgsProcessingAlgorithm,
    QgsProcessingException,
    QgsProcessingLayerPostProcessorInterface,
    QgsProcessingOutputNumber,
    QgsProcessingOutputString,
    QgsProcessingParameterBoolean,
    QgsProcessingParameterDefinition,
    QgsProcessingParameterEnum,
    QgsProcessingParameterFile,
    QgsProcessingParameterNumber,
    QgsProcessingParameterRasterDestination,
    QgsProcessingParameterRasterLayer,
    QgsProcessingParameterString,
    QgsRasterMinMaxOrigin,
)

from . import runner

_SCALES = ["2", "4", "8"]
_BAD_BANDS = ["interpolate", "keep", "drop"]
_RED_GREEN_BLUE_NM = (650, 550, 460)
_FIGURES = ("mpsnr", "mssim", "sam", "ergas", "rmse", "lr_rmse", "lr_max", "lr_sam")


class _Algorithm(QgsProcessingAlgorithm):
    """What the three have in common."""

    def createInstance(self):
        return type(self)()

    def name(self):
        return type(self).__name__.lower()

    def displayName(self):
        return type(self).__name__

    def shortHelpString(self):
        return self.__doc__

    def _path(self, parameters, name, context):
        """The file behind a layer or a name; None if there is none."""
        layer = self.parameterAsRasterLayer(parameters, name, context)
        return layer.source() if layer is not None else None

    def _scene(self, parameters, context):
        """INPUT_FILE if given, else the file behind the layer INPUT."""
        scene = self.parameterAsFile(parameters, "INPUT_FILE", context)
        if scene := scene or self._path(parameters, "INPUT", context):
            return scene
        raise QgsProcessingException(
            "found no scene; choose a layer, or a file that QGIS cannot open"
        )

    def _add_scene(self):
        self.addParameter(
            QgsProcessingParameterRasterLayer("INPUT", "Hyperspectral layer", optional=True)
        )
        self._advanced(
            QgsProcessingParameterFile(
                "INPUT_FILE", "Or a file that QGIS does not open (.mat, .npy)", optional=True
            )
        )

    def _advanced(self, parameter):
        parameter.setFlags(parameter.flags() | QgsProcessingParameterDefinition.FlagAdvanced)
        self.addParameter(parameter)


class Upscale(_Algorithm):
    """Makes the pixels of a hyperspectral scene 2, 4 or 8 times smaller along each side.

    CRS, extent, wavelengths and nodata stay; the area average of the result equals the observed
    pixels. Detail inside an observed pixel is estimated, not measured.
    """

    def initAlgorithm(self, config=None):  # noqa: ARG002 - QGIS calls it so
        self._add_scene()
        self.addParameter(
            QgsProcessingParameterEnum("SCALE", "Scale", options=_SCALES, defaultValue=1)
        )
        self.addParameter(
            QgsProcessingParameterString(
                "MODEL",
                "Weights by name or file, or bicubic (empty: the released ones of the scale)",
                defaultValue="",
                optional=True,
            )
        )
        self._advanced(
            QgsProcessingParameterEnum("BAD_BANDS", "Bad bands", options=_BAD_BANDS, defaultValue=0)
        )
        self._advanced(
            QgsProcessingParameterBoolean(
                "CONSISTENCY", "Area average of the result equals the observed pixels", True
            )
        )
        self._advanced(
            QgsProcessingParameterNumber(
                "TILE",
                "Tile side in observed pixels",
                type=QgsProcessingParameterNumber.Integer,
                minValue=1,
                optional=True,
            )
        )
        self.addParameter(QgsProcessingParameterRasterDestination("OUTPUT", "Finer scene"))

    def processAlgorithm(self, parameters, context, feedback):
        output = self.parameterAsOutputLayer(parameters, "OUTPUT", context)
        arguments = {
            "source": self._scene(parameters, context),
            "output": output,
            "scale": int(_SCALES[self.parameterAsEnum(parameters, "SCALE", context)]),
            "model": self.parameterAsString(parameters, "MODEL", context) or None,
            "bad_bands": _BAD_BANDS[self.parameterAsEnum(parameters, "BAD_BANDS", context)],
            "consistency": self.parameterAsBoolean(parameters, "CONSISTENCY", context),
            "overwrite": True,  # QGIS has asked
        }
        if parameters.get("TILE") is not None:
            arguments["tile"] = self.parameterAsInt(parameters, "TILE", context)
        result = runner.run("upscale", arguments, feedback)
        if result is None:
            return {}
        bands, rows, cols = result["output_shape"]
        feedback.pushInfo(
            f"{result['model']} x{result['scale']}: {bands} bands, {rows} x {cols} pixels in "
            f"{result['seconds']:.1f} s; detail inside an observed pixel is estimated, not measured"
        )
        seen = runner.run("info", {"source": output}, feedback)
        if seen and seen["wavelengths_nm"] and context.willLoadLayerOnCompletion(output):
            details = context.layerToLoadOnCompletionDetails(output)
            details.setPostProcessor(NaturalColour.of(seen["wavelengths_nm"]))
        return {"OUTPUT": output}


class NaturalColour(QgsProcessingLayerPostProcessorInterface):
    """Shows a new layer with the bands nearest to red, green and blue."""

    kept = []  # QGIS does not keep it alive itself

    @classmethod
    def of(cls, wavelengths_nm):
        """For a layer whose bands lie there."""
        new = cls()
        new.bands = [
            1 + min(range(len(wavelengths_nm)), key=lambda n: abs(wavelengths_nm[n] - colour))
            for colour in _RED_GREEN_BLUE_NM
        ]
        cls.kept = [*cls.kept[-8:], new]
        return new

    def postProcessLayer(self, layer, context, feedback):  # noqa: ARG002 - QGIS calls it so
        from qgis.core import QgsContrastEnhancement, QgsMultiBandColorRenderer

        renderer = QgsMultiBandColorRenderer(layer.dataProvider(), *self.bands)
        layer.setRenderer(renderer)
        layer.setContrastEnhancement(
            QgsContrastEnhancement.StretchToMinimumMaximum, QgsRasterMinMaxOrigin.CumulativeCut
        )


class Evaluate(_Algorithm):
    """Judges an estimate against a reference on its grid, against the observed scene, or both."""

    def initAlgorithm(self, config=None):  # noqa: ARG002 - QGIS calls it so
        for name, text, optional in (
            ("ESTIMATE", "Estimate", False),
            ("REFERENCE", "Reference on the same grid", True),
            ("OBSERVED", "Observed scene that the estimate was made from", True),
        ):
            self.addParameter(QgsProcessingParameterRasterLayer(name, text, optional=optional))
        for figure in _FIGURES:
            self.addOutput(QgsProcessingOutputNumber(figure.upper(), figure))

    def processAlgorithm(self, parameters, context, feedback):
        arguments = {
            "reference": self._path(parameters, "REFERENCE", context),
            "estimate": self._path(parameters, "ESTIMATE", context),
        }
        if observed := self._path(parameters, "OBSERVED", context):
            arguments["observed"] = observed
        figures = runner.run("evaluate", arguments, feedback) or {}
        for name, value in figures.items():
            feedback.pushInfo(f"{name}: {value:.6g}")
        return {name.upper(): value for name, value in figures.items()}


class Info(_Algorithm):
    """Shows what hsisr sees in a scene: size, numbers, wavelengths, bad bands, nodata, place."""

    def initAlgorithm(self, config=None):  # noqa: ARG002 - QGIS calls it so
        self._add_scene()
        for name in ("BANDS", "ROWS", "COLS"):
            self.addOutput(QgsProcessingOutputNumber(name, name.lower()))
        self.addOutput(QgsProcessingOutputString("WAVELENGTHS_NM", "wavelengths in nanometres"))

    def processAlgorithm(self, parameters, context, feedback):
        facts = runner.run("info", {"source": self._scene(parameters, context)}, feedback)
        if facts is None:
            return {}
        for key in ("format", "bands", "rows", "cols", "dtype", "nodata", "bad_bands"):
            feedback.pushInfo(f"{key}: {facts[key]}")
        seen = facts["wavelengths_nm"] or []
        feedback.pushInfo(f"wavelengths: {min(seen):g} to {max(seen):g} nm" if seen else "")
        return {
            "BANDS": facts["bands"],
            "ROWS": facts["rows"],
            "COLS": facts["cols"],
            "WAVELENGTHS_NM": " ".join(f"{one:g}" for one in seen),
        }
