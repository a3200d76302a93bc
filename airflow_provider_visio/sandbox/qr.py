"""QR codes of recipients' links; the encoder comes with reportlab."""

import io

from .photo_jpeg import need

_SCALE, _MARGIN = 10, 4


def png(text: str) -> bytes:
    """Draw a QR code as a PNG."""
    try:
        from PIL import Image
        from reportlab.graphics.barcode.qrencoder import QRCode, QRErrorCorrectLevel
    except ImportError as problem:
        raise need("reportlab or PIL", "reportlab and Pillow") from problem
    code = QRCode(None, QRErrorCorrectLevel.M)
    code.addData(text)
    code.make()
    count = code.getModuleCount()
    image = Image.new("1", (count + 2 * _MARGIN, count + 2 * _MARGIN), 1)
    for row in range(count):
        for column in range(count):
            if code.isDark(row, column):
                image.putpixel((column + _MARGIN, row + _MARGIN), 0)
    out = io.BytesIO()
    image.resize((image.width * _SCALE, image.height * _SCALE)).save(out, "PNG")
    return out.getvalue()
