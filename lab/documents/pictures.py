"""The pictures of docs/concepts.md."""

from __future__ import annotations

from lab.documents.drawing import Drawing


def journey() -> str:
    """A question on its way from the camera to a model and back."""
    drawing = Drawing(
        820, 300, "A question goes from a camera over the broker to the agent, and to one of two models"
    )
    drawing.box(90, 150, "Camera", "asks a question", "about a picture", kind="plain", size=(130, 84))
    drawing.box(280, 150, "Broker", "MQTT", kind="plain", size=(110, 64))
    drawing.box(470, 150, "Agent", "stores, decides,", "answers, learns", size=(150, 84))
    drawing.box(700, 70, "Model on the board", "4-bit, near, small", size=(190, 64))
    drawing.box(700, 230, "Model in the cloud", "bigger, costs the link", kind="other", size=(190, 64))
    drawing.arrow((155, 140), (225, 140))
    drawing.arrow((225, 162), (155, 162))
    drawing.arrow((335, 140), (395, 140))
    drawing.arrow((395, 162), (335, 162))
    drawing.arrow((545, 130), (605, 85), both=True)
    drawing.arrow((545, 170), (605, 215), both=True)
    drawing.text(190, 128, "question", kind="small")
    drawing.text(190, 182, "answer", kind="small")
    return drawing.svg()


def decision() -> str:
    """Which model is asked, and when a second one."""
    drawing = Drawing(820, 360, "The agent compares the models, asks one, and may escalate to the cloud")
    drawing.box(110, 80, "Question", "and picture", kind="plain", size=(140, 64))
    drawing.box(330, 80, "Compare", "time, energy, and risk", "of a wrong answer", size=(190, 84))
    drawing.box(590, 80, "Ask the board", "answer and confidence", size=(190, 64))
    drawing.box(590, 200, "Ask the cloud", "answer", kind="other", size=(190, 64))
    drawing.box(330, 290, "Learn", "from time, energy and", "differing answers", size=(190, 84))
    drawing.text(763, 66, "sure enough:", kind="small")
    drawing.text(763, 100, "send it", kind="small")
    drawing.arrow((180, 80), (235, 80))
    drawing.arrow((425, 80), (495, 80))
    drawing.arrow((425, 104), (460, 104), (460, 200), (495, 200))
    drawing.arrow((685, 80), (800, 80))
    drawing.arrow((590, 112), (590, 168))
    drawing.text(655, 145, "too unsure", kind="small")
    drawing.arrow((685, 200), (800, 200))
    drawing.text(745, 190, "send it", kind="small")
    drawing.arrow((590, 232), (590, 290), (425, 290), dashed=True)
    drawing.arrow((330, 248), (330, 122), dashed=True)
    drawing.text(640, 315, "some answers of the board are", kind="small")
    drawing.text(640, 333, "also sent there, to compare", kind="small")
    return drawing.svg()


def failures() -> str:
    """What answers while a part fails."""
    drawing = Drawing(
        820, 250, "While a part fails, the other one answers; without both the sender gets an error"
    )
    rows = (
        ("Link is down, or slow", "the board answers", "box"),
        ("Board is hot, or its model crashed", "the cloud answers", "other"),
        ("Neither can answer in time", "an error that says why", "plain"),
        ("Agent restarts", "open questions are answered after it", "box"),
    )
    for number, (failure, then, kind) in enumerate(rows):
        y = 42 + number * 56
        drawing.box(210, y, failure, kind="plain", size=(320, 40))
        drawing.box(610, y, then, kind=kind, size=(320, 40))
        drawing.arrow((370, y), (448, y))
    return drawing.svg()


def privacy() -> str:
    """What leaves the board."""
    drawing = Drawing(
        820, 260, "Only new pixels with their masks and the question leave the board, to trusted servers"
    )
    drawing.box(110, 130, "Picture", "with GPS, time and", "serial number", kind="plain", size=(160, 84))
    drawing.box(340, 130, "Agent", "pixels only,", "masks in black", size=(150, 84))
    drawing.box(640, 60, "Trusted server", "named, or pinned by you", kind="other", size=(210, 64))
    drawing.box(640, 200, "Any other server", "gets nothing", kind="plain", size=(210, 64))
    drawing.arrow((190, 130), (265, 130))
    drawing.arrow((415, 110), (535, 66))
    drawing.text(462, 66, "over TLS", kind="small")
    return drawing.svg()
