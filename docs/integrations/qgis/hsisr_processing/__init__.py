"""QGIS plugin: hsisr's commands as Processing algorithms."""


def classFactory(iface):
    """Make the plugin."""
    from .provider import HsisrPlugin

    return HsisrPlugin(iface)
