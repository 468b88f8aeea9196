"Draw nbs/images/flow.svg, the diagram of flow, session, step and undo.  usage: flow.py"
from html import escape
from pathlib import Path

# The picture has a background of its own, so that it is readable in any notebook viewer; styles.css inverts it on dark pages. Its text is readable on a phone at this width.
WIDTH, HEIGHT = 440, 510
TEXT, GREY, BACKGROUND = '#1f2933', '#52606d', '#fcfcfa'
FLOW, SESSION, STEP, UNDO, REDO = ('#eef2f7', '#7b8794'), ('#ffffff', '#3e4c59'), ('#e3f0fb', '#2b6cb0'), ('#fdecc8', '#b7791f'), ('#ffffff', '#b7791f')

def box(x, y, w, h, colours, dashed=False, line=1.4):
    return f'<rect x="{x}" y="{y}" width="{w}" height="{h}" rx="7" fill="{colours[0]}" stroke="{colours[1]}" stroke-width="{line}"' + (' stroke-dasharray="5 3"' if dashed else '') + '/>'

def text(x, y, words, anchor='start', size=14, weight=400, colour=TEXT, mono=False):
    family = 'ui-monospace, Menlo, Consolas, monospace' if mono else 'system-ui, Segoe UI, Helvetica, Arial, sans-serif'
    return f'<text x="{x}" y="{y}" text-anchor="{anchor}" font-family="{family}" font-size="{size}" font-weight="{weight}" fill="{colour}">{escape(words)}</text>'

def term(x, y, word, description):
    "A term in bold, followed by its description."
    return text(x, y, word, weight=700).replace('</text>', f'<tspan dx="9" font-size="13" font-weight="400" fill="{GREY}">{escape(description)}</tspan></text>')

def arrow(x1, x2, y, colour=GREY):
    back = 6 if x1 < x2 else -6
    return f'<path d="M{x1} {y}H{x2}m{-back} -5l{back} 5l{-back} 5" fill="none" stroke="{colour}" stroke-width="1.6"/>'

def step(x, name, state, line=1.4):
    return (box(x, 226, 106, 62, STEP, line=line) + text(x + 53, 250, name, 'middle', weight=700, colour='#1a4971')
            + text(x + 53, 273, state, 'middle', size=12, mono=True))

def entry(x, label, colours, dashed=False): return box(x, 384, 92, 34, colours, dashed) + text(x + 46, 406, label, 'middle', size=13)

def drawing():
    return [
        box(1, 1, WIDTH - 2, HEIGHT - 2, (BACKGROUND, '#cbd2d9')),
        box(14, 14, 412, 482, FLOW), term(28, 38, 'flow', 'a kind of workflow, "contract-review"'),
        box(42, 52, 370, 60, SESSION), box(35, 60, 370, 60, SESSION), text(392, 78, 'more sessions', 'end', size=12, colour=GREY),
        box(28, 86, 370, 396, SESSION), term(42, 110, 'session', 'one run of it by one person, "ana"'),
        term(42, 142, 'state', 'a JSON object, with a part for each step'), text(42, 165, '{"lang": "en", "_step_clauses": {…}, …}', size=12, mono=True),
        term(42, 198, 'step', 'one page of it; one is the current step'), step(42, 'upload', '{…}'), step(160, 'clauses', '{…}', line=3), step(278, 'sign', '{}'),
        arrow(149, 159, 257), arrow(267, 277, 257), text(213, 220, '▼', 'middle', size=11, colour=STEP[1]),
        f'<path d="M213 290V312" stroke="{UNDO[1]}" stroke-width="1.6" stroke-dasharray="3 3"/>',
        box(42, 312, 342, 154, ('#fffaf0', UNDO[1])), term(54, 336, 'undo', "a list for each step, and for the session's"),
        text(54, 356, 'own keys: one entry per labelled change', size=13, colour=GREY),
        entry(54, 'Flag 2', UNDO), entry(152, 'Flag 4', UNDO), entry(280, 'Flag 7', REDO, dashed=True),
        f'<path d="M262 376V436" stroke="{TEXT}" stroke-width="2.4"/>', text(262, 453, 'now', 'middle', size=13, weight=700),
        arrow(248, 152, 436), text(145, 441, 'undo', 'end', size=13), arrow(276, 332, 436), text(339, 441, 'redo', size=13),
    ]

def svg():
    return '\n'.join([f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}" role="img">',
                      '<title>Flow, session, step and undo</title>', *drawing(), '</svg>', ''])

if __name__ == '__main__': (Path(__file__).parents[1]/'nbs'/'images'/'flow.svg').write_text(svg(), encoding='utf-8', newline='\n')
