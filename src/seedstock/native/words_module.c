/* An empty Python module around words.c and bpe.c, which are called through ctypes: this is how they are built and found. */
#define Py_LIMITED_API 0x030B0000
#include <Python.h>

static PyModuleDef_Slot slots[] = {{0, NULL}};

static struct PyModuleDef module = {
    PyModuleDef_HEAD_INIT, .m_name = "_words", .m_doc = "Words and merges of tokenizers.", .m_slots = slots,
};

PyMODINIT_FUNC PyInit__words(void)
{
    return PyModuleDef_Init(&module);
}
