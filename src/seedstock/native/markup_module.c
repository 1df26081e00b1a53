/* An empty Python module around markup.c, which is called through ctypes: this is how it is built and found. */
#define Py_LIMITED_API 0x030B0000
#include <Python.h>

static PyModuleDef_Slot slots[] = {{0, NULL}};

static struct PyModuleDef module = {
    PyModuleDef_HEAD_INIT, .m_name = "_markup", .m_doc = "The markup pass of extraction.", .m_slots = slots,
};

PyMODINIT_FUNC PyInit__markup(void)
{
    return PyModuleDef_Init(&module);
}
