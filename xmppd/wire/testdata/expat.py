# Reads documents, one a line, as JSON strings, and writes for each the tree
# that expat makes of the elements inside its root, or what expat complains of.
# The root is not closed. The argument is the character that expat puts between
# namespace and name.
import json
import sys
from xml.parsers import expat


def read(doc, separator):
    root = {"Name": "", "Attrs": [], "Text": "", "Inner": []}
    stack = [root]

    def name(n):
        return n.replace(separator, " ") if separator in n else " " + n

    def start(n, attrs):
        pairs = zip(attrs[::2], attrs[1::2])
        node = {
            "Name": name(n),
            "Attrs": sorted((name(a) + "=" + v for a, v in pairs), key=lambda s: s.encode()),
            "Text": "",
            "Inner": [],
        }
        stack[-1]["Inner"].append(node)
        stack.append(node)

    def end(n):
        stack.pop()

    def text(t):
        stack[-1]["Text"] += t

    p = expat.ParserCreate("UTF-8", separator)
    p.ordered_attributes = True
    p.StartElementHandler, p.EndElementHandler, p.CharacterDataHandler = start, end, text
    try:
        p.Parse(doc.encode("utf-8"), False)
    except expat.ExpatError as e:
        return {"Error": str(e)}
    return {"Tree": stack[1]["Inner"]}


for line in sys.stdin:
    print(json.dumps(read(json.loads(line), sys.argv[1])))
