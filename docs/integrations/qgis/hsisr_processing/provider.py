"""The Processing provider, and the plugin that adds it to QGIS."""

from processing.core.ProcessingConfig import ProcessingConfig, Setting
from qgis.core import QgsApplication, QgsProcessingProvider

from .algorithms import Evaluate, Info, Upscale
from .runner import SETTING, default_program


class HsisrProvider(QgsProcessingProvider):
    """Upscale, Evaluate and Info."""

    def load(self):
        """Add the setting that names the installed program."""
        text = "hsisr program (as `which hsisr` prints it in its environment)"
        ProcessingConfig.addSetting(Setting("hsisr", SETTING, text, default_program() or ""))
        ProcessingConfig.readSettings()
        self.refreshAlgorithms()
        return True

    def unload(self):
        """Take the setting away."""
        ProcessingConfig.removeSetting(SETTING)

    def loadAlgorithms(self):
        """Add the algorithms."""
        for algorithm in (Upscale(), Evaluate(), Info()):
            self.addAlgorithm(algorithm)

    def id(self):
        """As in `hsisr:upscale`."""
        return "hsisr"

    def name(self):
        """In the toolbox."""
        return "hsisr"


class HsisrPlugin:
    """Adds the provider while QGIS runs."""

    def __init__(self, iface):
        self.iface = iface
        self.provider = None

    def initProcessing(self):
        """Called by `qgis_process`, which has no windows."""
        self.provider = HsisrProvider()
        QgsApplication.processingRegistry().addProvider(self.provider)

    def initGui(self):
        """Called by QGIS."""
        self.initProcessing()

    def unload(self):
        """Called when the plugin is switched off."""
        QgsApplication.processingRegistry().removeProvider(self.provider)
