# SPDX-License-Identifier: Apache-2.0
# cmake -DINPUT=FILE -DOUTPUT=FILE.c -DHEADER=FILE.h -DNAME=SYMBOL -P this
# Writes a C file that holds the text as a string named SYMBOL.
file(READ ${INPUT} hex HEX)
string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," bytes "${hex}")
string(REGEX REPLACE "(0x..,0x..,0x..,0x..,0x..,0x..,0x..,0x..,)" "\\1\n"
  bytes "${bytes}")
file(WRITE ${OUTPUT}
  "#include \"${HEADER}\"\n\nconst char ${NAME}[] = {\n${bytes}0x00\n};\n")
