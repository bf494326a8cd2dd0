#!/bin/sh
# Makes anew the files in tests/shared/files/fixtures that other programs made, and beside each what other programs read
# in it (.expected.txt). The tests need neither: what they made is kept. On Debian:
#   apt-get install --no-install-recommends pandoc weasyprint groff poppler-utils qpdf libreoffice-writer-nogui \
#     fonts-liberation fonts-dejavu
# Dates and identifiers that the programs write make each run's files differ in a few bytes.
set -eu
cd "$(dirname "$0")/../tests/shared/files/fixtures"
source=source
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

page_of() {
  printf '<!doctype html><html lang="%s"><meta charset="utf-8"><title>%s</title>' "$2" "$3" > "$work/$1.html"
  pandoc --from markdown --to html5 "$source/$1.md" >> "$work/$1.html"
}
# The layout says in which order rows of tables are read; the raw order is that of columns that pdftotext cuts into rows.
read_pdf() { pdftotext ${2:-} "$1" "$1.expected.txt"; }
read_pandoc() { pandoc --from "$2" --to plain --standalone --wrap=none "$1" --output "$1.expected.txt"; }

page_of guide-fr fr "Guide de conservation des pianos"
page_of guide-en en-GB "Handling requests for access"

# Word files by pandoc and by LibreOffice, which name their styles each in its own way.
pandoc "$source/guide-fr.md" --output guide-fr.pandoc.docx
pandoc "$source/guide-en.md" --output guide-en.pandoc.docx
pandoc "$source/guide-fr.md" --output "$work/guide-fr.odt"
soffice --headless --convert-to docx:"MS Word 2007 XML" --outdir "$work" "$work/guide-fr.odt" >/dev/null
cp "$work/guide-fr.docx" guide-fr.libreoffice.docx
for file in guide-fr.pandoc.docx guide-en.pandoc.docx guide-fr.libreoffice.docx; do read_pandoc "$file" docx; done

# PDFs by LibreOffice, WeasyPrint (one column and two, hyphenated, with ligatures) and groff (fonts that are not in it).
soffice --headless --convert-to pdf --outdir "$work" "$work/guide-fr.odt" >/dev/null
cp "$work/guide-fr.pdf" guide-fr.libreoffice.pdf
weasyprint --stylesheet "$source/simple.css" "$work/guide-en.html" guide-en.weasyprint.pdf
weasyprint --stylesheet "$source/colonnes.css" "$work/guide-fr.html" colonnes.weasyprint.pdf
weasyprint "$source/melange.html" melange.weasyprint.pdf
groff -Kutf8 -Tpdf -ms -mfr "$source/colonnes.ms" > colonnes.groff.pdf
for file in guide-fr.libreoffice.pdf guide-en.weasyprint.pdf melange.weasyprint.pdf; do read_pdf "$file" -layout; done
for file in colonnes.weasyprint.pdf colonnes.groff.pdf; do read_pdf "$file" -raw; done

# The same document behind a password, behind one for its owner only (which readers open), and with all its objects in
# compressed streams.
qpdf --encrypt secret owner 256 -- guide-en.weasyprint.pdf encrypted.pdf
qpdf --encrypt '' owner 256 -- guide-en.weasyprint.pdf owner-only.pdf
qpdf --object-streams=generate --compression-level=9 --recompress-flate guide-en.weasyprint.pdf streams.pdf

# Pages without text: a scan, and nothing at all.
pdftoppm -r 40 -gray -png -f 1 -l 1 guide-en.weasyprint.pdf "$work/scan"
printf '<style>@page { size: A5; margin: 0 } img { width: 148mm }</style><img src="%s">' "$(ls "$work"/scan*.png)" > "$work/scan.html"
weasyprint "$work/scan.html" scan.pdf
printf '<style>@page { size: A6 }</style><p>&nbsp;</p>' | weasyprint - blank.pdf

printf 'Un texte avec une note[^1].\n\n[^1]: Voir l%sannexe.\n' "'" | pandoc --from markdown --output footnotes.docx

# A web page as pandoc reads what is in its main element.
pandoc "$source/guide-fr.md" --standalone --toc --metadata lang=fr --output guide-fr.pandoc.html
pandoc "$source/guide-fr.md" --to plain --wrap=none --output guide-fr.pandoc.html.expected.txt

# What cannot be read.
npm install --silent --prefix "$work" officecrypto-tool@0.0.19
NODE_PATH="$work/node_modules" node -e '
  const { encrypt } = require("officecrypto-tool");
  const { readFileSync, writeFileSync } = require("fs");
  writeFileSync("encrypted.docx", encrypt(readFileSync("guide-en.pandoc.docx"), { password: "secret" }));
'
printf 'Un ancien document.' > "$work/old.txt"
soffice --headless --convert-to doc:"MS Word 97" --outdir "$work" "$work/old.txt" >/dev/null && cp "$work/old.doc" old.doc
printf '# A slide\n\n- one\n' | pandoc --from markdown --to pptx --output slides.pptx
printf 'A text.\n' | pandoc --from markdown --to odt --output text.odt
printf '# A book\n\nA text.\n' | pandoc --from markdown --to epub --metadata title=Book --output book.epub
printf 'A text.\n' | pandoc --from markdown --to rtf --standalone --output text.rtf
pdftoppm -r 10 -png -f 1 -l 1 -singlefile guide-en.weasyprint.pdf picture

# Texts in the encodings that they come in.
sed '1,5d' "$source/guide-fr.md" | sed 's/œ/oe/g' > "$work/guide.txt"
iconv -f UTF-8 -t WINDOWS-1252 "$work/guide.txt" > windows-1252.txt
iconv -f UTF-8 -t UTF-16LE "$work/guide.txt" > utf-16le.txt
{ printf '\376\377'; iconv -f UTF-8 -t UTF-16BE "$work/guide.txt"; } > utf-16be-bom.txt
iconv -f UTF-8 -t WINDOWS-1252 "$source/tarifs.csv" | sed 's/$/\r/' > tarifs.csv
