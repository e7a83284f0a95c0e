"""Exercises: files with holes to fill, broken ones to repair, and a check of what students wrote.

    pysrcnn exercise start mine
    pysrcnn exercise check mine

`templates` has the files, `tasks` what is asked of each; `running` runs them, apart from this
process; `judging` and `slips` say what is wrong, mostly in the words of `gradcheck`; `grading` does
so for a folder.
"""

from .grading import Grade, Verdict, asked_of, check_file, check_folder, students, write_files

__all__ = [
    "Grade",
    "Verdict",
    "asked_of",
    "check_file",
    "check_folder",
    "students",
    "write_files",
]
