# cmake --install build/release --prefix DIR: what somebody needs who runs switchyard without a checkout. The folder of
# the documentation looks like the repository, so that its links lead somewhere.
include(GNUInstallDirs)
install(TARGETS switchyard)
install(PROGRAMS launch/run.sh DESTINATION ${CMAKE_INSTALL_BINDIR} RENAME switchyard-run)
install(FILES launch/slurm.sbatch launch/job.pbs DESTINATION ${CMAKE_INSTALL_DATADIR}/switchyard)
install(DIRECTORY configs python DESTINATION ${CMAKE_INSTALL_DATADIR}/switchyard PATTERN __pycache__ EXCLUDE
        PATTERN build EXCLUDE PATTERN *.egg-info EXCLUDE)
install(FILES docs/switchyard.1 DESTINATION ${CMAKE_INSTALL_MANDIR}/man1)
install(FILES launch/completion.bash DESTINATION ${CMAKE_INSTALL_DATADIR}/bash-completion/completions RENAME switchyard)
install(FILES LICENSE README.md CHANGELOG.md CONTRIBUTING.md CITATION.cff DESTINATION ${CMAKE_INSTALL_DOCDIR})
install(DIRECTORY docs DESTINATION ${CMAKE_INSTALL_DOCDIR} PATTERN *.1 EXCLUDE)
